import { createHash, type Hash } from 'node:crypto';
import { type IncomingHttpHeaders, type IncomingMessage } from 'node:http';
import { crc32 } from 'node:zlib';
import { AwsError } from './errors';
import { type ChunkSignatures } from './signature/chunks';

/** The payload of a request: read it once, as a whole or in pieces. */
export interface IncomingBody extends AsyncIterable<Buffer> {
  /**
   * The whole payload in one buffer.
   * @param limit bytes beyond which the request is refused
   * @throws AwsError EntityTooLarge, IncompleteBody, BadDigest
   */
  collect(limit: number): Promise<Buffer>;
  /**
   * The whole payload into memory of the caller's.
   * @returns bytes
   * @throws AwsError EntityTooLarge where it has no room, IncompleteBody, BadDigest
   */
  collectInto(memory: Buffer): Promise<number>;
  /** Length after decoding, in bytes, where the request tells it. */
  readonly length: number | undefined;
}

/**
 * The plain payload of a request.
 * @param known `held`: the payload, where it has been read; `sha256`: its digest in hex as it was signed, where it has not
 */
export function plainBody(
  request: IncomingMessage,
  { held, sha256 }: { held?: Buffer; sha256?: string } = {},
): IncomingBody {
  const declared = request.headers['content-length'];
  const length = held?.length ?? (declared === undefined ? undefined : Number(declared));
  const source = (): AsyncIterable<Buffer> => (held === undefined ? iterate(request) : only(held));
  const collectAll = async (limit: number): Promise<Buffer> => {
    const whole = await collect(source(), length, limit);
    if (sha256 !== undefined) checkDigest(whole, sha256);
    return whole;
  };
  return {
    length,
    collect: collectAll,
    async collectInto(memory) {
      if (held !== undefined) return (await collectAll(memory.length)).copy(memory);
      const received = await receive(request, length, memory);
      // Who takes a block compares the checksum that came with it: where that is the same digest, one time is enough.
      if (sha256 !== undefined && !isChecksumOf(request, sha256))
        checkDigest(memory.subarray(0, received), sha256);
      return received;
    },
    async *[Symbol.asyncIterator]() {
      const digest = sha256 === undefined ? undefined : createHash('sha256');
      for await (const chunk of source()) {
        digest?.update(chunk);
        yield chunk;
      }
      if (digest !== undefined && digest.digest('hex') !== sha256) throw otherThanSigned();
    },
  };
}

function isChecksumOf({ headers }: IncomingMessage, sha256: string): boolean {
  return (
    headers['x-amz-checksum-algorithm'] === 'SHA256' &&
    headers['x-amz-checksum'] === Buffer.from(sha256, 'hex').toString('base64')
  );
}

function checkDigest(payload: Buffer, sha256: string): void {
  if (createHash('sha256').update(payload).digest('hex') !== sha256) throw otherThanSigned();
}

const otherThanSigned = (): AwsError =>
  new AwsError(
    'InvalidSignatureException',
    'The request signature we calculated does not match the signature you provided: the payload is not the one that was signed.',
    403,
  );

/** As a request's, which is read as it comes. */
async function* only(payload: Buffer): AsyncGenerator<Buffer> {
  yield payload;
}

/**
 * The payload of an S3 request: `aws-chunked` framing taken off, checksums in headers and trailers verified while it
 * is read (Amazon S3 User Guide, "Checking object integrity"). `checksums` are those found, complete at the end.
 * @param signatures of its chunks, where they have some
 */
export function objectBody(
  request: IncomingMessage,
  signatures?: ChunkSignatures,
): IncomingBody & { checksums: Record<string, string> } {
  const headers = request.headers;
  const chunked = isChunked(headers);
  const declared = chunked ? headers['x-amz-decoded-content-length'] : headers['content-length'];
  const length = declared === undefined ? undefined : Number(declared);
  const checksums: Record<string, string> = {};
  const trailers: Record<string, string> = {};
  const source = chunked ? decodeChunks(request, trailers, signatures) : iterate(request);
  const verified = verify(source, { headers, length, trailers }, checksums);
  return {
    length,
    checksums,
    collect: (limit) => collect(verified, length, limit),
    collectInto: async (memory) => (await collect(verified, length, memory.length)).copy(memory),
    [Symbol.asyncIterator]: () => verified,
  };
}

export function isChunked(headers: IncomingHttpHeaders): boolean {
  return (
    /(^|,)\s*aws-chunked\b/.test(headers['content-encoding'] ?? '') ||
    String(headers['x-amz-content-sha256'] ?? '').startsWith('STREAMING-')
  );
}

async function* iterate(request: IncomingMessage): AsyncGenerator<Buffer> {
  for await (const chunk of request) yield chunk as Buffer;
}

async function collect(
  source: AsyncIterable<Buffer>,
  length: number | undefined,
  limit: number,
): Promise<Buffer> {
  if (length !== undefined && !(length <= limit)) throw tooLarge(limit);
  if (length === undefined) {
    const chunks: Buffer[] = [];
    let total = 0;
    for await (const chunk of source) {
      total += chunk.length;
      if (total > limit) throw tooLarge(limit);
      chunks.push(chunk);
    }
    return Buffer.concat(chunks, total);
  }
  // One buffer of the declared length, every chunk copied once.
  const whole = Buffer.allocUnsafe(length);
  let offset = 0;
  for await (const chunk of source) {
    if (offset + chunk.length > length) throw tooLarge(limit);
    chunk.copy(whole, offset);
    offset += chunk.length;
  }
  if (offset !== length) throw incomplete();
  return whole;
}

/** Block uploads pass through here: no promise and no iterator for each of their pieces. */
function receive(request: IncomingMessage, length: number | undefined, memory: Buffer): Promise<number> {
  if (length !== undefined && !(length <= memory.length)) return Promise.reject(tooLarge(memory.length));
  return new Promise((received, failed) => {
    let offset = 0;
    request.on('data', (chunk: Buffer) => {
      if (offset + chunk.length > memory.length) failed(tooLarge(memory.length));
      else chunk.copy(memory, offset);
      offset += chunk.length;
    });
    request.on('end', () => {
      if (length !== undefined && offset !== length) failed(incomplete());
      else received(offset);
    });
    // Whatever else ends it; once it has ended, this changes nothing.
    request.on('close', () => failed(incomplete()));
    request.on('error', failed);
  });
}

const tooLarge = (limit: number): AwsError =>
  new AwsError('EntityTooLarge', `The request body exceeds the maximum of ${limit} bytes.`, 400);

const incomplete = (): AwsError =>
  new AwsError(
    'IncompleteBody',
    'You did not provide the number of bytes specified by the Content-Length HTTP header.',
  );

/** A line of chunk framing holds a size, a signature or one trailer; longer ones are no framing. */
const LONGEST_LINE = 16 * 1024;
/** All chunks but the last have at least so many bytes (Amazon S3 API Reference). */
const SMALLEST_CHUNK = 8 * 1024;
const TRAILER_SIGNATURE = 'x-amz-trailer-signature';

/** `size[;chunk-signature=…] CRLF data CRLF … 0 CRLF trailer:value CRLF CRLF` */
async function* decodeChunks(
  request: IncomingMessage,
  trailers: Record<string, string>,
  signatures: ChunkSignatures | undefined,
): AsyncGenerator<Buffer> {
  const source = iterate(request);
  let buffered: Buffer = Buffer.alloc(0);
  let smallBefore = false;

  async function pull(): Promise<boolean> {
    const { value, done } = await source.next();
    if (done) return false;
    buffered = buffered.length === 0 ? value : Buffer.concat([buffered, value]);
    return true;
  }
  async function line(): Promise<string> {
    for (;;) {
      const end = buffered.indexOf('\r\n');
      if (end >= 0) {
        const text = buffered.toString('latin1', 0, end);
        buffered = buffered.subarray(end + 2);
        return text;
      }
      if (buffered.length > LONGEST_LINE || !(await pull())) throw incomplete();
    }
  }

  for (;;) {
    const [size = '', extension = ''] = (await line()).split(';');
    if (!/^[0-9a-f]{1,8}$/i.test(size.trim())) throw incomplete();
    let left = parseInt(size, 16);
    signatures?.begin(extension);
    if (left > 0) {
      if (smallBefore) throw chunkTooSmall();
      smallBefore = left < SMALLEST_CHUNK;
    }
    const last = left === 0;
    while (left > 0) {
      if (buffered.length === 0 && !(await pull())) throw incomplete();
      const piece = buffered.subarray(0, left);
      buffered = buffered.subarray(piece.length);
      left -= piece.length;
      signatures?.update(piece);
      yield piece;
    }
    // What was given out before this counts only once everything was: whoever reads drops it where this throws.
    signatures?.end();
    if (last) break;
    if ((await line()) !== '') throw incomplete();
  }
  let trailerSignature: string | undefined;
  for (;;) {
    const trailer = await line();
    if (trailer === '') break;
    const colon = trailer.indexOf(':');
    const name = trailer.slice(0, colon).trim().toLowerCase();
    const value = trailer.slice(colon + 1).trim();
    if (name === TRAILER_SIGNATURE) trailerSignature = value;
    else trailers[name] = value;
  }
  if (Object.keys(trailers).length > 0) signatures?.trailer(trailers, trailerSignature);
}

const chunkTooSmall = (): AwsError =>
  new AwsError(
    'InvalidChunkSizeError',
    'Only the last chunk is allowed to have a size less than 8192 bytes',
    403,
  );

/** Headers and trailers that carry a digest of the payload, and how it is made. */
const DIGESTS: Record<string, () => { update(chunk: Buffer): void; digest(): string }> = {
  'content-md5': () => base64Digest(createHash('md5')),
  'x-amz-checksum-sha1': () => base64Digest(createHash('sha1')),
  'x-amz-checksum-sha256': () => base64Digest(createHash('sha256')),
  'x-amz-checksum-crc32': () => {
    let value = 0;
    return {
      update: (chunk) => {
        value = crc32(chunk, value);
      },
      digest: () => {
        const bytes = Buffer.alloc(4);
        bytes.writeUInt32BE(value);
        return bytes.toString('base64');
      },
    };
  },
};

function base64Digest(hash: Hash): { update(chunk: Buffer): void; digest(): string } {
  return { update: (chunk) => void hash.update(chunk), digest: () => hash.digest('base64') };
}

async function* verify(
  source: AsyncIterable<Buffer>,
  {
    headers,
    length,
    trailers,
  }: { headers: IncomingHttpHeaders; length: number | undefined; trailers: Record<string, string> },
  checksums: Record<string, string>,
): AsyncGenerator<Buffer> {
  const announced = String(headers['x-amz-trailer'] ?? '').toLowerCase();
  for (const name of [...Object.keys(headers), announced])
    if (name.startsWith('x-amz-checksum-') && !(name in DIGESTS) && !/-(type|algorithm|mode)$/.test(name))
      throw new AwsError('NotImplemented', `The checksum ${name} is not supported by this endpoint.`, 501);
  const wanted = Object.keys(DIGESTS).filter((name) => headers[name] !== undefined || announced === name);
  const digests = wanted.map((name) => ({ name, digest: DIGESTS[name]!() }));
  const declared = String(headers['x-amz-content-sha256'] ?? '');
  const payloadHash = /^[0-9a-f]{64}$/.test(declared) ? createHash('sha256') : undefined;
  let received = 0;
  for await (const chunk of source) {
    for (const { digest } of digests) digest.update(chunk);
    payloadHash?.update(chunk);
    received += chunk.length;
    yield chunk;
  }
  if (length !== undefined && received !== length) throw incomplete();
  if (payloadHash !== undefined && payloadHash.digest('hex') !== declared)
    throw new AwsError(
      'XAmzContentSHA256Mismatch',
      "The provided 'x-amz-content-sha256' header does not match what was computed.",
    );
  for (const { name, digest } of digests) {
    const expected = trailers[name] ?? String(headers[name] ?? '');
    const actual = digest.digest();
    if (expected !== actual)
      throw new AwsError('BadDigest', `The ${name} you specified did not match the calculated checksum.`);
    if (name !== 'content-md5') checksums[name] = actual;
  }
}
