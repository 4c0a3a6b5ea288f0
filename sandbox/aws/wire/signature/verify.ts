import { createHash, timingSafeEqual } from 'node:crypto';
import { type AwsError } from '../errors';
import { type Service } from '../service';
import { canonicalRequest } from './canonical';
import { ChunkSignatures } from './chunks';
import { SigningKeys, signatureOf } from './keys';
import { type Headers, type SignatureParts, signatureParts } from './parts';
import { signedPayload, type SignedPayload } from './payload';
import { clockTolerance, type Refusal, refused } from './refusals';

/** What belongs to an access key. */
export interface AccessKey<Owner> {
  owner: Owner;
  secretAccessKey: string;
  /** Of a session: the token that has to come with every request, and its end in milliseconds since 1970. */
  session?: { token: string; expiresAt: number };
}

/** A request as it came. */
export interface ReceivedRequest {
  method: string;
  path: string;
  search: string;
  query: URLSearchParams;
  headers: Headers;
}

/** What of a payload is to be checked while it is read. */
export interface PayloadChecks {
  /** Lower-case hex. */
  sha256?: string;
  chunks?: ChunkSignatures;
}

export interface Verified<Owner> {
  owner: Owner;
  /** Service of the scope; another one than that which was asked to verify, where the endpoint does not offer it. */
  signingName: string;
  checks: PayloadChecks;
}

export interface VerifierOptions<Owner> {
  /** What an access key is; undefined where there is none of that id. */
  find: (accessKeyId: string) => AccessKey<Owner> | undefined;
  region: string;
  /** Milliseconds since 1970. */
  clock?: () => number;
}

/** Services with one endpoint for all Regions, which has its signatures made for this one. */
const GLOBAL: ReadonlySet<string> = new Set(['iam', 'route53', 'sts']);
const GLOBAL_REGION = 'us-east-1';

/** Headers that have to be signed where they are there. */
const mustBeSigned = (name: string): boolean => name === 'host' || name.startsWith('x-amz-');

/** Verifies Signature Version 4 ("Create a signed AWS API request", IAM User Guide). */
export class SignatureVerifier<Owner> {
  private readonly keys = new SigningKeys();

  constructor(private readonly options: VerifierOptions<Owner>) {}

  /**
   * @param readPayload the whole payload; asked for only where the signature cannot be checked without
   * @throws AwsError as the service words it
   */
  async verify(
    service: Service,
    request: ReceivedRequest,
    readPayload: () => Promise<Buffer>,
  ): Promise<Verified<Owner>> {
    const parts = signatureParts(service, request.headers, request.query);
    const found = this.options.find(parts.accessKeyId);
    if (found === undefined) throw refused(service, { why: 'unknown key', accessKeyId: parts.accessKeyId });
    const now = (this.options.clock ?? Date.now)();
    this.checkTimes(service, parts, now);
    const key = this.checkToken(service, parts, found, now);
    this.checkScope(service, parts);
    this.checkSignedHeaders(service, parts, request);
    const presigned = !request.headers.has('authorization');
    const declared =
      request.headers.get('x-amz-content-sha256')?.[0] ??
      (presigned ? request.query.get('X-Amz-Content-Sha256') : undefined) ??
      undefined;
    const payload = signedPayload(service, { method: request.method, presigned, declared });
    const signingKey = this.keys.of(key.secretAccessKey, parts.scope);
    const canonical = canonicalRequest({
      ...request,
      signedHeaders: parts.signedHeaders,
      payload: await payloadText(payload, readPayload),
      s3: service.signingName === 's3',
    });
    const digest = createHash('sha256').update(canonical).digest('hex');
    const stringToSign = ['AWS4-HMAC-SHA256', parts.time, parts.scope, digest].join('\n');
    const expected = signatureOf(signingKey, stringToSign);
    const { accessKeyId, signature: provided } = parts;
    if (!equal(expected, provided))
      throw refused(service, { why: 'mismatch', accessKeyId, provided, stringToSign, canonical });
    return {
      owner: key.owner,
      signingName: parts.signingName,
      checks:
        payload.kind === 'digest'
          ? { sha256: payload.sha256 }
          : payload.kind === 'chunks'
            ? { chunks: new ChunkSignatures(signingKey, parts.time, parts.scope, expected) }
            : {},
    };
  }

  private checkTimes(service: Service, parts: SignatureParts, now: number): void {
    const fail = (refusal: Refusal): AwsError => refused(service, refusal);
    const { madeAt, expires, date, time } = parts;
    if (!time.startsWith(date)) throw fail({ why: 'date', date, time });
    const tolerance = clockTolerance(service);
    if (expires !== undefined && service.signingName === 's3') {
      if (madeAt - now > tolerance) throw fail({ why: 'URL not valid yet' });
      const expiredAt = madeAt + expires * 1000;
      if (now > expiredAt) throw fail({ why: 'URL expired', expiredAt, now, seconds: expires });
    } else if (Math.abs(now - madeAt) > tolerance) throw fail({ why: 'clock', signedAt: madeAt, now });
  }

  private checkToken(
    service: Service,
    { sessionToken, accessKeyId }: SignatureParts,
    found: AccessKey<Owner>,
    now: number,
  ): AccessKey<Owner> {
    const { session } = found;
    // A session's key without its token is nobody's.
    if (session !== undefined && sessionToken === undefined)
      throw refused(service, { why: 'unknown key', accessKeyId });
    if (session?.token !== sessionToken) throw refused(service, { why: 'token invalid' });
    if (session !== undefined && session.expiresAt <= now) throw refused(service, { why: 'token expired' });
    return found;
  }

  private checkScope(service: Service, { region }: SignatureParts): void {
    const { region: expected } = this.options;
    // Clients that are told an endpoint sign for their own Region also where the service has one endpoint for all.
    if (region === expected || (GLOBAL.has(service.signingName) && region === GLOBAL_REGION)) return;
    throw refused(service, { why: 'region', region, expected });
  }

  private checkSignedHeaders(
    service: Service,
    { signedHeaders }: SignatureParts,
    { headers }: ReceivedRequest,
  ): void {
    const names = [...headers.keys()].filter((name) => mustBeSigned(name) && !signedHeaders.includes(name));
    if (names.length > 0) throw refused(service, { why: 'headers not signed', names });
  }
}

async function payloadText(payload: SignedPayload, read: () => Promise<Buffer>): Promise<string> {
  switch (payload.kind) {
    case 'digest':
      return payload.sha256;
    case 'unsigned':
    case 'chunks':
      return payload.word;
    case 'read first':
      return createHash('sha256')
        .update(await read())
        .digest('hex');
  }
}

function equal(expected: string, provided: string): boolean {
  const [ours, theirs] = [Buffer.from(expected), Buffer.from(provided)];
  return ours.length === theirs.length && timingSafeEqual(ours, theirs);
}
