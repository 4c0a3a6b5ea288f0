import { type IncomingHttpHeaders } from 'node:http';
import { AwsError } from './errors';

/** Who signed a request, and for which service: the credential of Signature Version 4. */
export interface Credential {
  accessKeyId: string;
  signingName: string;
  region: string;
}

const CREDENTIAL = /^([^/,\s]+)\/(\d{8})\/([^/,\s]+)\/([^/,\s]+)\/aws4_request$/;

/** The credential of the Authorization header, or of a presigned URL's query. */
export function requestCredential(
  headers: IncomingHttpHeaders,
  query: URLSearchParams,
): Credential | undefined {
  const text =
    /^AWS4-HMAC-SHA256\s.*?Credential=([^,\s]+)/.exec(headers.authorization ?? '')?.[1] ??
    query.get('X-Amz-Credential');
  const match = CREDENTIAL.exec(text ?? '');
  if (match === null) return undefined;
  const [, accessKeyId = '', , region = '', signingName = ''] = match;
  return { accessKeyId, region, signingName };
}

/** The error by which each service refuses an access key that it does not know. */
export function unknownAccessKey(signingName: string, accessKeyId: string): AwsError {
  switch (signingName) {
    case 'ec2':
      return new AwsError('AuthFailure', 'AWS was not able to validate the provided access credentials', 401);
    case 's3':
      return new AwsError(
        'InvalidAccessKeyId',
        'The AWS Access Key Id you provided does not exist in our records.',
        403,
        { AWSAccessKeyId: accessKeyId },
      );
    case 'ebs':
      return new AwsError(
        'UnrecognizedClientException',
        'The security token included in the request is invalid.',
        403,
      );
    default:
      return new AwsError(
        'InvalidClientTokenId',
        'The security token included in the request is invalid.',
        403,
      );
  }
}

/** The error that answers a request without credentials. */
export function missingCredential(signingName: string): AwsError {
  return signingName === 's3'
    ? new AwsError('AccessDenied', 'Access Denied', 403)
    : new AwsError('MissingAuthenticationToken', 'Request is missing Authentication Token', 403);
}
