import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from 'node:crypto';

/** Bytes of a nonce and of a tag of GCM. */
const NONCE = 12;
const TAG = 16;
/** Before the rest: how long the key's ARN is, which a ciphertext of KMS's says, too. */
const LENGTH = 2;

type Context = Record<string, string> | undefined;

/** Associated data: the encryption context in an order of its own, as "Encryption context", AWS KMS Developer Guide, has it. */
const bound = (context: Context): Buffer =>
  Buffer.from(JSON.stringify(Object.entries(context ?? {}).sort(([a], [b]) => (a < b ? -1 : 1))));

/** The key's own bytes: from the account's secret, so that they outlive the process. */
const keyOf = (secret: string, arn: string): Buffer =>
  Buffer.from(hkdfSync('sha256', secret, 'sandbox kms', arn, 32));

/** What KMS would answer as a CiphertextBlob. */
export function seal(secret: string, arn: string, plain: Uint8Array, context: Context): Buffer {
  const name = Buffer.from(arn);
  const length = Buffer.alloc(LENGTH);
  length.writeUInt16BE(name.length);
  const nonce = randomBytes(NONCE);
  const cipher = createCipheriv('aes-256-gcm', keyOf(secret, arn), nonce).setAAD(bound(context));
  return Buffer.concat([length, name, nonce, cipher.update(plain), cipher.final(), cipher.getAuthTag()]);
}

/** ARN of the key that a ciphertext says it is of; undefined where it says none. */
export function sealedBy(blob: Uint8Array): string | undefined {
  const bytes = Buffer.from(blob);
  if (bytes.length < LENGTH) return undefined;
  const arn = bytes.subarray(LENGTH, LENGTH + bytes.readUInt16BE()).toString('utf8');
  return arn.startsWith('arn:') ? arn : undefined;
}

/** @returns undefined where this is no ciphertext of the account, was changed, or has another context */
export function unseal(
  secret: string,
  blob: Uint8Array,
  context: Context,
): { arn: string; plain: Buffer } | undefined {
  const bytes = Buffer.from(blob);
  if (bytes.length < LENGTH) return undefined;
  const start = LENGTH + bytes.readUInt16BE();
  if (bytes.length < start + NONCE + TAG) return undefined;
  const arn = bytes.subarray(LENGTH, start).toString('utf8');
  const end = bytes.length - TAG;
  try {
    const nonce = bytes.subarray(start, start + NONCE);
    const decipher = createDecipheriv('aes-256-gcm', keyOf(secret, arn), nonce, { authTagLength: TAG });
    decipher.setAAD(bound(context)).setAuthTag(bytes.subarray(end));
    const plain = Buffer.concat([decipher.update(bytes.subarray(start + NONCE, end)), decipher.final()]);
    return { arn, plain };
  } catch {
    return undefined;
  }
}
