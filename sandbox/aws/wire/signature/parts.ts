import { type AwsError } from '../errors';
import { type Service } from '../service';
import { type Refusal, refused, signingTime } from './refusals';

/** A Signature Version 4 as a request carries it, in its Authorization header or in a presigned URL. */
export interface SignatureParts {
  accessKeyId: string;
  /** Of the scope: `20261130`. */
  date: string;
  region: string;
  signingName: string;
  /** `20261130/eu-central-1/s3/aws4_request` */
  scope: string;
  /** Lower case. */
  signedHeaders: string[];
  signature: string;
  /** When it was made: as it was sent, and in milliseconds since 1970. */
  time: string;
  madeAt: number;
  sessionToken: string | undefined;
  /** Of a presigned URL: seconds for which it is good. */
  expires: number | undefined;
}

export type Headers = ReadonlyMap<string, readonly string[]>;

const ALGORITHM = 'AWS4-HMAC-SHA256';
/** Amazon S3 API Reference, "Authenticating requests: using query parameters". */
const LONGEST_EXPIRY = 604_800;
const QUERY_PARAMETERS = [
  'X-Amz-Algorithm',
  'X-Amz-Credential',
  'X-Amz-Signature',
  'X-Amz-Date',
  'X-Amz-SignedHeaders',
];

/** @throws AwsError as the service words it, where the request has no signature, or half of one */
export function signatureParts(service: Service, headers: Headers, query: URLSearchParams): SignatureParts {
  const fail = (refusal: Refusal): AwsError => refused(service, refusal);
  const authorization = headers.get('authorization')?.join(',');
  if (authorization !== undefined) return fromHeader(authorization, headers, fail);
  if (query.has('X-Amz-Algorithm') || query.has('X-Amz-Signature'))
    return fromQuery(query, service.signingName === 's3', fail);
  throw fail({ why: 'no credentials' });
}

type Fail = (refusal: Refusal) => AwsError;

function fromHeader(authorization: string, headers: Headers, fail: Fail): SignatureParts {
  const [, algorithm = '', rest = ''] = /^(\S+)\s+(.*)$/.exec(authorization.trim()) ?? [];
  if (algorithm !== ALGORITHM) throw fail({ why: 'no credentials' });
  const values = new Map(
    rest.split(',').map((part): [string, string] => {
      const at = part.indexOf('=');
      return [part.slice(0, at).trim(), part.slice(at + 1).trim()];
    }),
  );
  const missing = ['Credential', 'Signature', 'SignedHeaders'].filter((name) => !values.get(name));
  if (missing.length > 0) {
    const what = missing.map((name) => `Authorization header requires '${name}' parameter.`).join(' ');
    throw fail({ why: 'incomplete', what });
  }
  const time = headers.get('x-amz-date')?.[0] ?? basicTime(headers.get('date')?.[0]);
  const madeAt = instantOf(time);
  if (madeAt === undefined) {
    const what = "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header.";
    throw fail({ why: 'incomplete', what });
  }
  return {
    ...scopeOf(values.get('Credential') ?? '', (what) => fail({ why: 'incomplete', what })),
    signedHeaders: (values.get('SignedHeaders') ?? '').toLowerCase().split(';'),
    signature: values.get('Signature') ?? '',
    time: time ?? '',
    madeAt,
    sessionToken: headers.get('x-amz-security-token')?.[0],
    expires: undefined,
  };
}

function fromQuery(query: URLSearchParams, s3: boolean, fail: Fail): SignatureParts {
  const wrong = (what: string): AwsError => fail({ why: 'presigned incomplete', what });
  // Only S3 asks for an end; elsewhere a URL is good for as long as a signature in a header.
  const asked = s3 ? [...QUERY_PARAMETERS, 'X-Amz-Expires'] : QUERY_PARAMETERS;
  if (!asked.every((name) => query.get(name)))
    throw wrong(
      'Query-string authentication version 4 requires the X-Amz-Algorithm, X-Amz-Credential, X-Amz-Signature, X-Amz-Date, X-Amz-SignedHeaders, and X-Amz-Expires parameters.',
    );
  if (query.get('X-Amz-Algorithm') !== ALGORITHM)
    throw wrong('X-Amz-Algorithm only supports "AWS4-HMAC-SHA256"');
  const time = query.get('X-Amz-Date') ?? '';
  const madeAt = instantOf(time);
  if (madeAt === undefined)
    throw wrong("X-Amz-Date must be in the ISO8601 Long Format \"yyyyMMdd'T'HHmmss'Z'\"");
  const expires = query.get('X-Amz-Expires');
  if (expires !== null && !/^\d{1,9}$/.test(expires)) throw wrong('X-Amz-Expires should be a number');
  if (Number(expires) > LONGEST_EXPIRY)
    throw wrong(
      `X-Amz-Expires must be less than a week (in seconds) that is, the given X-Amz-Expires value has to be less than ${LONGEST_EXPIRY}`,
    );
  return {
    ...scopeOf(query.get('X-Amz-Credential') ?? '', wrong),
    signedHeaders: (query.get('X-Amz-SignedHeaders') ?? '').toLowerCase().split(';'),
    signature: query.get('X-Amz-Signature') ?? '',
    time,
    madeAt,
    sessionToken: query.get('X-Amz-Security-Token') ?? undefined,
    expires: expires === null ? undefined : Number(expires),
  };
}

function scopeOf(
  credential: string,
  wrong: (what: string) => AwsError,
): Pick<SignatureParts, 'accessKeyId' | 'date' | 'region' | 'signingName' | 'scope'> {
  const match = /^([^/\s]+)\/(\d{8})\/([^/\s]+)\/([^/\s]+)\/aws4_request$/.exec(credential);
  if (match === null)
    throw wrong(
      'Credential must have exactly 5 slash-delimited elements: <YOUR-AKID>/YYYYMMDD/REGION/SERVICE/aws4_request',
    );
  const [, accessKeyId = '', date = '', region = '', signingName = ''] = match;
  return { accessKeyId, date, region, signingName, scope: `${date}/${region}/${signingName}/aws4_request` };
}

/** Milliseconds since 1970; undefined where it is no such time. */
function instantOf(time: string | undefined): number | undefined {
  const match = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/.exec(time ?? '');
  if (match === null) return undefined;
  const [, year, month, day, hour, minute, second] = match;
  const instant = Date.parse(`${year}-${month}-${day}T${hour}:${minute}:${second}Z`);
  return Number.isNaN(instant) ? undefined : instant;
}

/** A Date header's time as the signature has it. */
function basicTime(date: string | undefined): string | undefined {
  const instant = Date.parse(date ?? '');
  return Number.isNaN(instant) ? undefined : signingTime(instant);
}
