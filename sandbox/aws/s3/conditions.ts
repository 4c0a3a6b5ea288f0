import { AwsError } from '../wire/errors';
import { type ObjectRecord } from './buckets';

const sameTag = (a: string, b: string): boolean =>
  a === '*' || a.replaceAll('"', '') === b.replaceAll('"', '');

function failed(condition: string): AwsError {
  return new AwsError(
    'PreconditionFailed',
    'At least one of the pre-conditions you specified did not hold',
    412,
    {
      Condition: condition,
    },
  );
}

/**
 * Conditional writes (Amazon S3 User Guide, "How to prevent object overwrites with conditional writes").
 * @throws AwsError PreconditionFailed; NoSuchKey where If-Match names a version of an object that is not there
 */
export function checkWriteConditions(
  input: { IfMatch?: string; IfNoneMatch?: string; Key?: string },
  object: ObjectRecord | undefined,
): void {
  if (input.IfNoneMatch !== undefined) {
    if (input.IfNoneMatch !== '*')
      throw new AwsError(
        'NotImplemented',
        'A header you provided implies functionality that is not implemented',
        501,
      );
    if (object !== undefined) throw failed('If-None-Match');
  }
  if (input.IfMatch !== undefined) {
    if (object === undefined)
      throw new AwsError('NoSuchKey', 'The specified key does not exist.', 404, { Key: input.Key });
    if (!sameTag(input.IfMatch, object.etag)) throw failed('If-Match');
  }
}

/** @throws AwsError PreconditionFailed, NotModified */
export function checkReadConditions(
  input: { IfMatch?: string; IfNoneMatch?: string; IfModifiedSince?: Date; IfUnmodifiedSince?: Date },
  object: ObjectRecord,
): void {
  const modified = Date.parse(object.modifiedAt);
  if (input.IfMatch !== undefined) {
    if (!sameTag(input.IfMatch, object.etag)) throw failed('If-Match');
  } else if (input.IfUnmodifiedSince !== undefined && modified > input.IfUnmodifiedSince.getTime())
    throw failed('If-Unmodified-Since');
  if (input.IfNoneMatch !== undefined) {
    if (sameTag(input.IfNoneMatch, object.etag)) throw new AwsError('NotModified', 'Not Modified', 304);
  } else if (input.IfModifiedSince !== undefined && modified <= input.IfModifiedSince.getTime())
    throw new AwsError('NotModified', 'Not Modified', 304);
}
