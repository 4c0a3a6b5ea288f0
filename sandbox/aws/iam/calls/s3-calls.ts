import type * as s3 from '@aws-sdk/client-s3';
import { type AccountView, type Asked, type CallMapping, onAll } from './mapping';

const bucketArn = (bucket = ''): string => `arn:aws:s3:::${bucket}`;

interface OfObject {
  Bucket?: string;
  Key?: string;
}

/** "Required permissions for Amazon S3 API operations" (Amazon S3 User Guide). */
export const s3Calls: CallMapping = {
  ListBuckets: () => [onAll('s3:ListAllMyBuckets')],
  CreateBucket: ({ Bucket }: s3.CreateBucketRequest) => [onBucket('s3:CreateBucket', Bucket)],
  DeleteBucket: ({ Bucket }: s3.DeleteBucketRequest) => [onBucket('s3:DeleteBucket', Bucket)],
  HeadBucket: ({ Bucket }: s3.HeadBucketRequest) => [onBucket('s3:ListBucket', Bucket)],
  GetBucketLocation: ({ Bucket }: s3.GetBucketLocationRequest) => [onBucket('s3:GetBucketLocation', Bucket)],
  ListObjectsV2: ({ Bucket, Prefix, Delimiter, MaxKeys }: s3.ListObjectsV2Request) => [
    onBucket('s3:ListBucket', Bucket, {
      's3:prefix': Prefix ?? '',
      ...(Delimiter === undefined ? {} : { 's3:delimiter': Delimiter }),
      ...(MaxKeys === undefined ? {} : { 's3:max-keys': String(MaxKeys) }),
    }),
  ],
  GetObject: reading,
  HeadObject: reading,
  PutObject: ({ IfMatch, IfNoneMatch, ObjectLockMode, ...object }: s3.PutObjectRequest) => [
    onObject('s3:PutObject', object, {
      ...(IfMatch === undefined ? {} : { 's3:if-match': IfMatch }),
      ...(IfNoneMatch === undefined ? {} : { 's3:if-none-match': IfNoneMatch }),
      ...(ObjectLockMode === undefined ? {} : { 's3:object-lock-mode': ObjectLockMode }),
    }),
  ],
  DeleteObject: (object: s3.DeleteObjectRequest) => [onObject('s3:DeleteObject', object)],
  DeleteObjects: ({ Bucket, Delete }: s3.DeleteObjectsRequest) =>
    (Delete?.Objects ?? []).map(({ Key }) => onObject('s3:DeleteObject', { Bucket, Key })),
  CreateMultipartUpload: (object: s3.CreateMultipartUploadRequest) => [onObject('s3:PutObject', object)],
  UploadPart: (object: s3.UploadPartRequest) => [onObject('s3:PutObject', object)],
  CompleteMultipartUpload: (object: s3.CompleteMultipartUploadRequest) => [onObject('s3:PutObject', object)],
  AbortMultipartUpload: (object: s3.AbortMultipartUploadRequest) => [
    onObject('s3:AbortMultipartUpload', object),
  ],
  ListParts: (object: s3.ListPartsRequest) => [onObject('s3:ListMultipartUploadParts', object)],
  ListMultipartUploads: ({ Bucket }: s3.ListMultipartUploadsRequest) => [
    onBucket('s3:ListBucketMultipartUploads', Bucket),
  ],
  // Not offered; the endpoint says so to everybody.
  CopyObject: () => [],
};

/** That an object does not exist is told to those only who may list the bucket ("GetObject", Amazon S3 API Reference). */
function reading({ Bucket, Key }: s3.GetObjectRequest, { buckets }: AccountView): Asked[] {
  const asked = onObject('s3:GetObject', { Bucket, Key });
  const there =
    Bucket === undefined || !buckets.has(Bucket) || buckets.get(Bucket).find(Key ?? '') !== undefined;
  return there ? [asked] : [asked, onBucket('s3:ListBucket', Bucket)];
}

const onBucket = (action: string, bucket: string | undefined, context: Asked['context'] = {}): Asked => ({
  action,
  resource: bucketArn(bucket),
  context,
});

const onObject = (action: string, { Bucket, Key }: OfObject, context: Asked['context'] = {}): Asked => ({
  action,
  resource: `${bucketArn(Bucket)}/${Key ?? ''}`,
  context,
});
