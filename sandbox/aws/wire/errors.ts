/**
 * An error as AWS answers it. `code` is the code of the service's own documentation; `details` are further members
 * of the error's shape (`Reason` of EBS, `messages` of Route 53's InvalidChangeBatch, `Key` of S3's NoSuchKey).
 */
export class AwsError extends Error {
  constructor(
    readonly code: string,
    message: string,
    /** HTTP status; where absent the error's schema decides, and 400 where there is none. */
    readonly status?: number,
    readonly details: Record<string, unknown> = {},
  ) {
    super(message);
    this.name = 'AwsError';
  }
}
