import { createHmac } from 'node:crypto';

const hmac = (key: Buffer | string, text: string): Buffer => createHmac('sha256', key).update(text).digest();

/** Keys are some dozen in a day; sessions that follow each other are more. */
const MOST_KEPT = 500;

/** Signing keys of secrets, kept, because each takes four digests and serves for a day. */
export class SigningKeys {
  private readonly kept = new Map<string, Buffer>();

  /** @param scope `20261130/eu-central-1/s3/aws4_request` */
  of(secretAccessKey: string, scope: string): Buffer {
    const name = `${scope} ${secretAccessKey}`;
    const known = this.kept.get(name);
    if (known !== undefined) return known;
    if (this.kept.size >= MOST_KEPT) this.kept.clear();
    const key = scope
      .split('/')
      .reduce<Buffer>((made, part) => hmac(made, part), Buffer.from(`AWS4${secretAccessKey}`));
    this.kept.set(name, key);
    return key;
  }
}

/** The signature of a text in lower-case hex. */
export const signatureOf = (key: Buffer, text: string): string => hmac(key, text).toString('hex');
