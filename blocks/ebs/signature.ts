import { createHash, hash } from 'node:crypto';

/**
 * Signature Version 4 ("Signature Version 4 signing process", AWS General Reference) for requests whose payload digest
 * is known beforehand. The SDK's signer makes the same signatures (a test holds the two together) for more than twice
 * the CPU, most of it in hashing the payload a second time.
 */

export interface Credentials {
  accessKeyId: string;
  secretAccessKey: string;
  sessionToken?: string;
}

/** Who is asked: parts of the credential scope. */
export interface SigningScope {
  region: string;
  service: string;
}

export interface UnsignedRequest {
  method: 'GET' | 'PUT';
  /** Percent-encoded, as it is sent. */
  path: string;
  /** Percent-encoded parameters in the order of their names; empty where there are none. */
  query: string;
  /** Every header that is to be signed, names in lower case, in their order; values without blanks around them. */
  headers: [name: string, value: string][];
  /** SHA-256 of the payload, lower-case hex. */
  payloadSha256: string;
}

/** SHA-256 of an empty payload. */
export const EMPTY_SHA256 = hash('sha256', '', 'hex');

/** Everything but letters, digits and `-_.~` as percent escapes (RFC 3986, as Signature Version 4 wants it). */
export function percentEncoded(text: string): string {
  return encodeURIComponent(text).replace(
    /[!'()*]/g,
    (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`,
  );
}

/** HMAC-SHA256's block, in bytes (RFC 2104). */
const HMAC_BLOCK = 64;

/**
 * HMAC-SHA256 by two one-shot digests (RFC 2104): `createHmac` takes several times as long for a short text, which is
 * seen at a thousand requests a second.
 * @param key at most 64 bytes
 */
function hmac(key: Buffer, text: string): Buffer {
  const inner = Buffer.alloc(HMAC_BLOCK + Buffer.byteLength(text), 0x36);
  const outer = Buffer.alloc(HMAC_BLOCK + 32, 0x5c);
  for (let n = 0; n < key.length; n++) {
    inner[n] = key[n]! ^ 0x36;
    outer[n] = key[n]! ^ 0x5c;
  }
  inner.write(text, HMAC_BLOCK, 'utf8');
  hash('sha256', inner, 'buffer').copy(outer, HMAC_BLOCK);
  return hash('sha256', outer, 'buffer');
}

/** Signs requests; keeps the day's key of the credentials that it saw last. */
export class Signer {
  private day = '';
  private secret = '';
  private key = Buffer.alloc(0);

  constructor(private readonly scope: SigningScope) {}

  /** The headers to send besides the request's own: time, payload digest, session token, Authorization. */
  sign(
    request: UnsignedRequest,
    credentials: Credentials,
    /** Milliseconds since 1970, by the clock of AWS. */
    now: number,
  ): [name: string, value: string][] {
    const time = new Date(now).toISOString().replace(/[-:]|\.\d{3}/g, '');
    const day = time.slice(0, 8);
    const added: [string, string][] = [
      ['x-amz-content-sha256', request.payloadSha256],
      ['x-amz-date', time],
    ];
    if (credentials.sessionToken !== undefined)
      added.push(['x-amz-security-token', credentials.sessionToken]);
    const headers = [...request.headers, ...added].sort(([a], [b]) => (a < b ? -1 : 1));
    const names = headers.map(([name]) => name).join(';');
    const canonical = [
      request.method,
      // Every service but S3 wants the encoded path encoded once more.
      request.path.split('/').map(percentEncoded).join('/'),
      request.query,
      ...headers.map(([name, value]) => `${name}:${value}`),
      '',
      names,
      request.payloadSha256,
    ].join('\n');
    const scope = `${day}/${this.scope.region}/${this.scope.service}/aws4_request`;
    const text = `AWS4-HMAC-SHA256\n${time}\n${scope}\n${hash('sha256', canonical, 'hex')}`;
    const signature = hmac(this.keyOf(day, credentials.secretAccessKey), text).toString('hex');
    const authorization = `AWS4-HMAC-SHA256 Credential=${credentials.accessKeyId}/${scope}, SignedHeaders=${names}, Signature=${signature}`;
    return [...added, ['authorization', authorization]];
  }

  private keyOf(day: string, secret: string): Buffer {
    if (this.day !== day || this.secret !== secret) {
      const first = Buffer.from(`AWS4${secret}`);
      // A key longer than a block stands for its digest (RFC 2104); AWS's own have 44 bytes.
      const seed = first.length > HMAC_BLOCK ? createHash('sha256').update(first).digest() : first;
      const parts = [day, this.scope.region, this.scope.service, 'aws4_request'];
      this.key = Buffer.from(parts.reduce<Buffer>((key, part) => hmac(key, part), seed));
      this.day = day;
      this.secret = secret;
    }
    return this.key;
  }
}
