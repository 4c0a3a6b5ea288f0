import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import { type Payload, type PayloadCodec } from '@temporalio/common';
import { temporal } from '@temporalio/proto';
import { type PayloadKeys } from './payload-keys';
import { WireError } from './wire-error';

const { Payload: PayloadMessage } = temporal.api.common.v1;

/** Encoding of Temporal's own samples, so that people and tools know what they see. */
export const ENCRYPTED = 'binary/encrypted';
const FORMAT = '1';
/** Names of a payload's metadata. */
const KEY_ID = 'encryption-key-id';
const WRAPPED_KEY = 'encryption-data-key';
const FORMAT_NAME = 'lifeboat-encryption';

const CIPHER = 'aes-256-gcm';
/** Of a nonce and of a tag of GCM: NIST SP 800-38D. */
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
/** A key's id in metadata of any origin. */
const LONGEST_ID = 64;

/**
 * Encrypts payloads whole, their metadata with them: AES-256-GCM, a random nonce for each. Bound to it are the format, the namespace and the
 * key's id: what is moved into another namespace, or said to be of another key, is not read. Not bound is the run: Temporal's codec protocol, by which
 * the Web UI reads payloads, does not tell it.
 */
export class EncryptingCodec implements PayloadCodec {
  constructor(
    private readonly keys: PayloadKeys,
    private readonly namespace: string,
  ) {}

  /** @throws WireError where the key that encrypts cannot be had */
  async encode(payloads: Payload[]): Promise<Payload[]> {
    if (payloads.length === 0) return payloads;
    const key = await this.keys.forEncrypting();
    if (key === undefined) return payloads;
    return payloads.map((payload) => {
      const nonce = randomBytes(NONCE_BYTES);
      const cipher = createCipheriv(CIPHER, key.bytes, nonce);
      cipher.setAAD(this.bound(key.id));
      const plain = PayloadMessage.encode(payload).finish();
      const data = Buffer.concat([nonce, cipher.update(plain), cipher.final(), cipher.getAuthTag()]);
      return {
        metadata: {
          encoding: Buffer.from(ENCRYPTED),
          [FORMAT_NAME]: Buffer.from(FORMAT),
          [KEY_ID]: Buffer.from(key.id),
          ...(key.wrapped === undefined ? {} : { [WRAPPED_KEY]: key.wrapped }),
        },
        data,
      };
    });
  }

  /** Payloads that are not encrypted are given as they are: those of before. @throws WireError */
  decode(payloads: Payload[]): Promise<Payload[]> {
    return Promise.all(payloads.map((payload) => this.read(payload)));
  }

  private async read(payload: Payload): Promise<Payload> {
    const { metadata, data } = payload;
    if (textOf(metadata?.encoding) !== ENCRYPTED) return payload;
    const id = textOf(metadata?.[KEY_ID]);
    if (textOf(metadata?.[FORMAT_NAME]) !== FORMAT || id === '' || id.length > LONGEST_ID)
      throw new WireError('A payload is encrypted in a way that this version of Lifeboat does not know.');
    const key = await this.keys.forDecrypting(id, metadata?.[WRAPPED_KEY] ?? undefined);
    return this.decrypt(key, id, data ?? new Uint8Array());
  }

  private decrypt(key: Buffer, id: string, data: Uint8Array): Payload {
    try {
      if (data.length < NONCE_BYTES + TAG_BYTES) throw new Error('it is too short');
      const decipher = createDecipheriv(CIPHER, key, data.subarray(0, NONCE_BYTES), {
        authTagLength: TAG_BYTES,
      });
      decipher.setAAD(this.bound(id));
      decipher.setAuthTag(data.subarray(data.length - TAG_BYTES));
      const ciphertext = data.subarray(NONCE_BYTES, data.length - TAG_BYTES);
      const plain = Buffer.concat([decipher.update(ciphertext), decipher.final()]);
      return PayloadMessage.decode(plain);
    } catch (cause) {
      throw new WireError(
        `A payload does not come out with the key "${id}": it was changed, is of another namespace than ${this.namespace}, or another key has this id here.`,
        { cause },
      );
    }
  }

  /** Associated data; each part with its length before it, so that no two are the same bytes. */
  private bound(keyId: string): Buffer {
    const parts = ['lifeboat', FORMAT, this.namespace, keyId].map((part) => Buffer.from(part));
    return Buffer.concat(
      parts.flatMap((part) => {
        const length = Buffer.alloc(4);
        length.writeUInt32BE(part.length);
        return [length, part];
      }),
    );
  }
}

const textOf = (bytes: Uint8Array | null | undefined): string =>
  bytes == null ? '' : Buffer.from(bytes).toString('utf8');
