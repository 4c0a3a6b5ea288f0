import { parse } from 'yaml';
import { z } from 'zod';
import { keepSecret } from '../host/secrets';
import { printable } from '../plan/printable';
import { readSecretFile } from './secret-file';
import { WireError } from './wire-error';

/** Bytes of a key of AES-256. */
export const KEY_BYTES = 32;

/** A key of the ring: its bytes, or the KMS key under which data keys are made. */
export type RingKey = { bytes: Buffer } | { kms: string };

/** The keys that a process can decrypt with, by their ids, and the one that it encrypts with. */
export interface KeyRing {
  /** Undefined: what this process sends stays plain. */
  encryptsWith: string | undefined;
  keys: ReadonlyMap<string, RingKey>;
}

/** Text of `encrypt` where a process only decrypts. */
const NONE = 'none';

/** Ids are read out, and stand in every payload. */
const KEY_ID = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;
/** Not an alias: what it stands for can be changed, and old runs would be unreadable. */
const KMS_KEY = /^arn:aws[a-z-]*:kms:[a-z0-9-]+:\d{12}:key\/[A-Za-z0-9-]+$/;

const schema = z.strictObject({
  encrypt: z.coerce.string(),
  keys: z.record(z.string(), z.union([z.string(), z.strictObject({ kms: z.string() })])),
});

/**
 * Reads the key ring of LIFEBOAT_CODEC_KEYS. Nothing of the file is in the errors, but for ids of keys.
 * @throws WireError
 */
export function readKeyRing(file: string): KeyRing {
  const wrong = (what: string, cause?: unknown): WireError =>
    new WireError(`${file} (LIFEBOAT_CODEC_KEYS) ${what}. docs/wire.md says what it must be like.`, {
      cause,
    });
  const text = readSecretFile(file, wrong);
  let content: unknown;
  try {
    content = parse(text, { prettyErrors: false });
  } catch {
    // An error of the parser's may quote the text.
    throw wrong('is no valid YAML');
  }
  const parsed = schema.safeParse(content);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    const where = issue?.path.map(String).join('.') ?? '';
    throw wrong(
      `${where === '' ? '' : `has a wrong "${printable(where)}": `}${printable(issue?.message ?? 'it is wrong')}`,
    );
  }
  const { encrypt, keys } = parsed.data;
  const ring = new Map<string, RingKey>();
  for (const [id, key] of Object.entries(keys)) {
    if (!KEY_ID.test(id))
      throw wrong(`has a key "${printable(id)}": an id has letters, digits, ".", "_" and "-", 64 at most`);
    if (id === NONE) throw wrong(`has a key of the id "${NONE}", which stands for no key`);
    if (typeof key !== 'string') {
      if (!KMS_KEY.test(key.kms))
        throw wrong(
          `has a key "${id}" whose "kms" is no ARN of a KMS key (arn:aws:kms:REGION:ACCOUNT:key/ID, no alias)`,
        );
      ring.set(id, key);
    } else {
      keepSecret(key);
      const bytes = Buffer.from(key, 'base64');
      if (bytes.length !== KEY_BYTES || bytes.toString('base64') !== key)
        throw wrong(
          `has a key "${id}" that is not the base64 of ${KEY_BYTES} bytes: openssl rand -base64 ${KEY_BYTES}`,
        );
      ring.set(id, { bytes });
    }
  }
  if (encrypt !== NONE && !ring.has(encrypt))
    throw wrong(
      `says encrypt: "${printable(encrypt)}", and has no such key: name one of its keys, or ${NONE}`,
    );
  return { encryptsWith: encrypt === NONE ? undefined : encrypt, keys: ring };
}
