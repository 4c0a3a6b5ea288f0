import { AwsError } from '../errors';
import { type Service } from '../service';

/** Why a request is not believed to be who it says. */
export type Refusal =
  | { why: 'no credentials' }
  /** `what`: in words. */
  | { why: 'incomplete'; what: string }
  | { why: 'presigned incomplete'; what: string }
  | { why: 'unknown key'; accessKeyId: string }
  | { why: 'token invalid' }
  | { why: 'token expired' }
  | { why: 'region'; region: string; expected: string }
  | { why: 'date'; date: string; time: string }
  /** Milliseconds since 1970. */
  | { why: 'clock'; signedAt: number; now: number }
  | { why: 'URL expired'; expiredAt: number; now: number; seconds: number }
  | { why: 'URL not valid yet' }
  | { why: 'headers not signed'; names: string[] }
  | { why: 'mismatch'; accessKeyId: string; provided: string; stringToSign: string; canonical: string };

/** Minutes that a request's time may differ from ours: Amazon S3 API Reference, and what the query services say themselves. */
const S3_MINUTES = 15;
const QUERY_MINUTES = 15;
const OTHER_MINUTES = 5;

/** Milliseconds that a request's time may differ from ours. */
export function clockTolerance(service: Service): number {
  const minutes =
    service.signingName === 's3'
      ? S3_MINUTES
      : service.kind === 'ec2Query' || service.kind === 'awsQuery'
        ? QUERY_MINUTES
        : OTHER_MINUTES;
  return minutes * 60_000;
}

/** `20261130T215455Z` */
export const signingTime = (milliseconds: number): string =>
  new Date(milliseconds).toISOString().replace(/[-:]|\.\d{3}/g, '');

/** The error by which that service refuses. */
export function refused(service: Service, refusal: Refusal): AwsError {
  if (service.signingName === 's3') return refusedByS3(refusal);
  if (service.kind === 'ec2Query') return refusedByEc2(refusal);
  return refusedByOthers(service, refusal);
}

/** "Error responses", Amazon S3 API Reference. */
function refusedByS3(refusal: Refusal): AwsError {
  switch (refusal.why) {
    case 'no credentials':
      return new AwsError('AccessDenied', 'Access Denied', 403);
    case 'incomplete':
      return new AwsError(
        'AuthorizationHeaderMalformed',
        `The authorization header is malformed; ${refusal.what}`,
      );
    case 'presigned incomplete':
      return new AwsError('AuthorizationQueryParametersError', refusal.what);
    case 'unknown key':
      return new AwsError(
        'InvalidAccessKeyId',
        'The AWS Access Key Id you provided does not exist in our records.',
        403,
        { AWSAccessKeyId: refusal.accessKeyId },
      );
    case 'token invalid':
      return new AwsError('InvalidToken', 'The provided token is malformed or otherwise invalid.');
    case 'token expired':
      return new AwsError('ExpiredToken', 'The provided token has expired.');
    case 'region':
      return new AwsError(
        'AuthorizationHeaderMalformed',
        `The authorization header is malformed; the region '${refusal.region}' is wrong; expecting '${refusal.expected}'`,
        400,
        { Region: refusal.expected },
      );
    case 'date':
      return new AwsError(
        'AuthorizationHeaderMalformed',
        `The authorization header is malformed; Invalid credential date "${refusal.date}". This date is not the same as X-Amz-Date: "${refusal.time.slice(0, 8)}".`,
      );
    case 'clock':
      return new AwsError(
        'RequestTimeTooSkewed',
        'The difference between the request time and the current time is too large.',
        403,
        {
          RequestTime: signingTime(refusal.signedAt),
          ServerTime: new Date(refusal.now).toISOString(),
          MaxAllowedSkewMilliseconds: S3_MINUTES * 60_000,
        },
      );
    case 'URL expired':
      return new AwsError('AccessDenied', 'Request has expired', 403, {
        'X-Amz-Expires': refusal.seconds,
        Expires: new Date(refusal.expiredAt).toISOString(),
        ServerTime: new Date(refusal.now).toISOString(),
      });
    case 'URL not valid yet':
      return new AwsError('AccessDenied', 'Request is not valid yet', 403);
    case 'headers not signed':
      return new AwsError(
        'AccessDenied',
        'There were headers present in the request which were not signed',
        403,
        { HeadersNotSigned: refusal.names.join(', ') },
      );
    case 'mismatch':
      return new AwsError(
        'SignatureDoesNotMatch',
        'The request signature we calculated does not match the signature you provided. Check your key and signing method.',
        403,
        {
          AWSAccessKeyId: refusal.accessKeyId,
          StringToSign: refusal.stringToSign,
          SignatureProvided: refusal.provided,
          StringToSignBytes: bytesOf(refusal.stringToSign),
          CanonicalRequest: refusal.canonical,
          CanonicalRequestBytes: bytesOf(refusal.canonical),
        },
      );
  }
}

const bytesOf = (text: string): string =>
  Buffer.from(text)
    .toString('hex')
    .replace(/..(?=.)/g, '$& ');

/** "Error codes for the Amazon EC2 API": it says of a signature no more than that it is not valid, a wrong clock's among them. */
function refusedByEc2(refusal: Refusal): AwsError {
  switch (refusal.why) {
    case 'no credentials':
      return new AwsError('MissingAuthenticationToken', 'Request is missing Authentication Token', 403);
    case 'token expired':
    case 'URL expired':
      return new AwsError('RequestExpired', 'Request has expired.', 400);
    case 'incomplete':
    case 'presigned incomplete':
      return new AwsError('IncompleteSignature', refusal.what, 400);
    case 'region':
      return new AwsError('AuthFailure', 'Credential should be scoped to a valid region.', 401);
    default:
      return new AwsError('AuthFailure', 'AWS was not able to validate the provided access credentials', 401);
  }
}

/** "Common errors" of the APIs: one list, in which those that speak JSON have names of their own. */
function refusedByOthers({ kind }: Service, refusal: Refusal): AwsError {
  const json = kind === 'restJson1' || kind === 'awsJson1_1';
  // The codes of AWS JSON 1.1 come with 400, for all that its documents say.
  const status = kind === 'awsJson1_1' ? 400 : 403;
  const badSignature = (message: string): AwsError =>
    new AwsError(json ? 'InvalidSignatureException' : 'SignatureDoesNotMatch', message, status);
  const badToken = new AwsError(
    json ? 'UnrecognizedClientException' : 'InvalidClientTokenId',
    'The security token included in the request is invalid.',
    status,
  );
  switch (refusal.why) {
    case 'no credentials':
      return new AwsError(
        json ? 'MissingAuthenticationTokenException' : 'MissingAuthenticationToken',
        'Request is missing Authentication Token',
        status,
      );
    case 'incomplete':
    case 'presigned incomplete':
      return new AwsError(json ? 'IncompleteSignatureException' : 'IncompleteSignature', refusal.what, 400);
    case 'unknown key':
    case 'token invalid':
      return badToken;
    case 'token expired':
      return new AwsError(
        json ? 'ExpiredTokenException' : 'ExpiredToken',
        'The security token included in the request is expired',
        status,
      );
    case 'region':
      return badSignature(`Credential should be scoped to a valid region, not '${refusal.region}'. `);
    case 'date':
      return badSignature(
        `Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: '${refusal.date}' != '${refusal.time.slice(0, 8)}', from '${refusal.time}'.`,
      );
    case 'clock':
      return badSignature(
        clockMessage(refusal.signedAt, refusal.now, kind === 'awsQuery' ? QUERY_MINUTES : OTHER_MINUTES),
      );
    case 'URL expired':
      return badSignature(
        `Signature expired: ${signingTime(refusal.expiredAt)} is now earlier than ${signingTime(refusal.now)}`,
      );
    case 'URL not valid yet':
      return badSignature('Signature not yet current.');
    case 'headers not signed':
      return badSignature(
        refusal.names.map((name) => `'${name}' must be a 'SignedHeader' in the AWS Authorization.`).join(' '),
      );
    case 'mismatch':
      return badSignature(
        `The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and signing method. Consult the service documentation for details.`,
      );
  }
}

function clockMessage(signedAt: number, now: number, minutes: number): string {
  const [signed, ours] = [signingTime(signedAt), signingTime(now)];
  return signedAt < now
    ? `Signature expired: ${signed} is now earlier than ${signingTime(now - minutes * 60_000)} (${ours} - ${minutes} min.)`
    : `Signature not yet current: ${signed} is still later than ${signingTime(now + minutes * 60_000)} (${ours} + ${minutes} min.)`;
}
