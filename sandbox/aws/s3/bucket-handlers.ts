import {
  type CreateBucketOutput,
  type CreateBucketRequest,
  type DeleteBucketRequest,
  type GetBucketLocationOutput,
  type GetBucketLocationRequest,
  type HeadBucketOutput,
  type HeadBucketRequest,
  type ListBucketsOutput,
  type ListObjectsV2Output,
  type ListObjectsV2Request,
} from '@aws-sdk/client-s3';
import { ACCOUNT_ID } from '../account';
import { AwsError } from '../wire/errors';
import { type BucketStore, compareKeys } from './buckets';

/** ListObjectsV2's MaxKeys, and the most it answers with. */
const LARGEST_PAGE = 1000;

export function bucketHandlers(store: BucketStore, region: string) {
  return {
    CreateBucket(input: CreateBucketRequest): CreateBucketOutput {
      const wanted = input.CreateBucketConfiguration?.LocationConstraint;
      if (wanted !== undefined && (wanted as string) !== region)
        throw new AwsError(
          'IllegalLocationConstraintException',
          `The ${wanted} location constraint is incompatible for the region specific endpoint this request was sent to.`,
        );
      store.create(input.Bucket ?? '');
      return { Location: `/${input.Bucket}` };
    },

    HeadBucket(input: HeadBucketRequest): HeadBucketOutput {
      if (!store.has(input.Bucket ?? '')) throw new AwsError('NotFound', 'Not Found', 404);
      return { BucketRegion: region };
    },

    DeleteBucket(input: DeleteBucketRequest): void {
      store.delete(input.Bucket ?? '');
    },

    GetBucketLocation(input: GetBucketLocationRequest): GetBucketLocationOutput {
      store.get(input.Bucket);
      return { LocationConstraint: region as GetBucketLocationOutput['LocationConstraint'] };
    },

    ListBuckets(): ListBucketsOutput {
      return {
        Buckets: store
          .all()
          .map(({ name, createdAt }) => ({ Name: name, CreationDate: new Date(createdAt) })),
        Owner: { ID: ACCOUNT_ID },
      };
    },

    ListObjectsV2(input: ListObjectsV2Request): ListObjectsV2Output {
      const bucket = store.get(input.Bucket);
      const { Prefix: prefix = '', Delimiter: delimiter } = input;
      const maxKeys = input.MaxKeys ?? LARGEST_PAGE;
      if (!Number.isInteger(maxKeys) || maxKeys < 0)
        throw new AwsError('InvalidArgument', 'Argument maxKeys must be an integer between 0 and 2147483647');
      const size = Math.min(maxKeys, LARGEST_PAGE);
      const encode = input.EncodingType === 'url' ? encodeKey : (key: string): string => key;

      // Everything up to this is not listed: a key, or a common prefix with all keys that have it.
      let after =
        input.ContinuationToken === undefined
          ? (input.StartAfter ?? '')
          : decodeToken(input.ContinuationToken);
      const afterPrefix =
        delimiter !== undefined && after !== '' && after.startsWith(prefix) && after.endsWith(delimiter);
      const contents: NonNullable<ListObjectsV2Output['Contents']> = [];
      const prefixes: { Prefix: string }[] = [];
      let truncated = false;
      const skipped = afterPrefix ? after : undefined;
      for (const key of bucket.keys()) {
        if (!key.startsWith(prefix) || compareKeys(key, after) <= 0) continue;
        if (skipped !== undefined && key.startsWith(skipped)) continue;
        const end = delimiter ? key.indexOf(delimiter, prefix.length) : -1;
        const common = end < 0 || delimiter === undefined ? undefined : key.slice(0, end + delimiter.length);
        if (common !== undefined && common === prefixes.at(-1)?.Prefix) continue;
        if (contents.length + prefixes.length === size) {
          truncated = size > 0;
          break;
        }
        after = common ?? key;
        if (common !== undefined) prefixes.push({ Prefix: common });
        else {
          const object = bucket.find(key);
          if (object === undefined) continue;
          contents.push({
            Key: encode(key),
            Size: object.bytes,
            ETag: object.etag,
            LastModified: new Date(object.modifiedAt),
            StorageClass: 'STANDARD',
          });
        }
      }
      return {
        Name: bucket.name,
        Prefix: encode(prefix),
        Delimiter: delimiter === undefined ? undefined : encode(delimiter),
        MaxKeys: maxKeys,
        EncodingType: input.EncodingType,
        KeyCount: contents.length + prefixes.length,
        IsTruncated: truncated,
        ContinuationToken: input.ContinuationToken,
        NextContinuationToken: truncated ? Buffer.from(after).toString('base64url') : undefined,
        StartAfter: input.StartAfter === undefined ? undefined : encode(input.StartAfter),
        Contents: contents,
        CommonPrefixes: prefixes.map(({ Prefix }) => ({ Prefix: encode(Prefix) })),
      };
    },
  };
}

const encodeKey = (key: string): string => encodeURIComponent(key).replaceAll('%2F', '/');

const decodeToken = (token: string): string => Buffer.from(token, 'base64url').toString();
