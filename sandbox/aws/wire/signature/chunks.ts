import { createHash, type Hash } from 'node:crypto';
import { AwsError } from '../errors';
import { signatureOf } from './keys';

const EMPTY_SHA256 = createHash('sha256').digest('hex');

/**
 * Signatures of a payload's chunks, each made over the one before, the first over the request's ("Transferring payload in
 * multiple chunks", Amazon S3 API Reference).
 */
export class ChunkSignatures {
  private hash: Hash | undefined;
  private announced = '';

  constructor(
    private readonly key: Buffer,
    private readonly time: string,
    private readonly scope: string,
    private previous: string,
  ) {}

  /** @param extension what follows the size: `chunk-signature=…` */
  begin(extension: string): void {
    this.announced = /^chunk-signature=([0-9a-f]{64})$/.exec(extension.trim())?.[1] ?? '';
    this.hash = createHash('sha256');
  }

  update(piece: Buffer): void {
    this.hash?.update(piece);
  }

  /** @throws AwsError SignatureDoesNotMatch */
  end(): void {
    const digest = this.hash?.digest('hex') ?? EMPTY_SHA256;
    this.check('AWS4-HMAC-SHA256-PAYLOAD', [EMPTY_SHA256, digest], this.announced);
  }

  /**
   * @param trailers in the order in which they came, without the signature
   * @throws AwsError SignatureDoesNotMatch
   */
  trailer(trailers: Readonly<Record<string, string>>, signature: string | undefined): void {
    const text = Object.entries(trailers)
      .map(([name, value]) => `${name}:${value}\n`)
      .join('');
    const digest = createHash('sha256').update(text).digest('hex');
    this.check('AWS4-HMAC-SHA256-TRAILER', [digest], signature ?? '');
  }

  private check(algorithm: string, digests: string[], provided: string): void {
    const text = [algorithm, this.time, this.scope, this.previous, ...digests].join('\n');
    const expected = signatureOf(this.key, text);
    if (expected !== provided)
      throw new AwsError(
        'SignatureDoesNotMatch',
        'The request signature we calculated does not match the signature you provided. Check your key and signing method.',
        403,
        { StringToSign: text, SignatureProvided: provided },
      );
    this.previous = expected;
  }
}
