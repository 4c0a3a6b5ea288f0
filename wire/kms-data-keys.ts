import { DecryptCommand, GenerateDataKeyCommand, type KMSClient } from '@aws-sdk/client-kms';
import { messageOf } from '../host/message-of';
import { WireError } from './wire-error';

/** A key that KMS has made: in the clear for this process, and encrypted by KMS for the payloads. */
export interface DataKey {
  bytes: Buffer;
  wrapped: Uint8Array;
}

/** Milliseconds that a process encrypts with one data key. */
const RENEW_MS = 60 * 60 * 1000;
/** Milliseconds until KMS is asked again for a new key where it has failed, and there is an old one. */
const AGAIN_MS = 60 * 1000;
/** Data keys of others that are kept: a history has one for each process and hour that has written in it. */
const KEPT = 1000;
/** "Ciphertext: Maximum length of 6144", AWS KMS API Reference, Decrypt. */
const WRAPPED_BYTES = 6144;

/**
 * Data keys under one KMS key: GenerateDataKey to encrypt, once an hour; Decrypt to read, once for each data key. The encryption context, which
 * CloudTrail shows and policies can ask for, says what they are for.
 */
export class KmsDataKeys {
  private own: { key: DataKey; renewAt: number } | undefined;
  private making: Promise<DataKey> | undefined;
  private readonly opened = new Map<string, Promise<Buffer>>();

  constructor(
    private readonly kms: KMSClient,
    readonly keyArn: string,
    private readonly namespace: string,
    private readonly now: () => number = Date.now,
  ) {}

  private get context(): Record<string, string> {
    return { 'lifeboat:for': 'temporal-payloads', 'lifeboat:namespace': this.namespace };
  }

  /** The data key that this process encrypts with. @throws WireError where there is none, and KMS makes none */
  async forEncrypting(): Promise<DataKey> {
    const due = this.own === undefined || this.now() >= this.own.renewAt;
    const making = due ? (this.making ??= this.make().finally(() => (this.making = undefined))) : undefined;
    // While there is an old one nobody waits for a new one: a KMS that does not answer would hold up every task of this process.
    return this.own?.key ?? (making as Promise<DataKey>);
  }

  private async make(): Promise<DataKey> {
    try {
      const { Plaintext, CiphertextBlob } = await this.kms.send(
        new GenerateDataKeyCommand({
          KeyId: this.keyArn,
          KeySpec: 'AES_256',
          EncryptionContext: this.context,
        }),
      );
      if (Plaintext === undefined || CiphertextBlob === undefined) throw new Error('it gave no key');
      const key = { bytes: Buffer.from(Plaintext), wrapped: CiphertextBlob };
      this.own = { key, renewAt: this.now() + RENEW_MS };
      this.remember(wrappedText(CiphertextBlob), Promise.resolve(key.bytes));
      return key;
    } catch (cause) {
      if (this.own === undefined) throw refused(this.keyArn, 'makes no data key', cause);
      // A failover must not end because KMS is away: the old data key is as good as before.
      this.own.renewAt = this.now() + AGAIN_MS;
      return this.own.key;
    }
  }

  /** The data key of a payload. @throws WireError where KMS does not open it */
  async forDecrypting(wrapped: Uint8Array): Promise<Buffer> {
    if (wrapped.length === 0 || wrapped.length > WRAPPED_BYTES)
      throw new WireError(`A payload's data key cannot be one of the KMS key ${this.keyArn}.`);
    const text = wrappedText(wrapped);
    const known = this.opened.get(text);
    if (known !== undefined) return known;
    const opening = this.open(wrapped);
    this.remember(text, opening);
    opening.catch(() => this.opened.delete(text));
    return opening;
  }

  private async open(wrapped: Uint8Array): Promise<Buffer> {
    try {
      // With the key's name, KMS refuses what another key of the account has encrypted.
      const { Plaintext } = await this.kms.send(
        new DecryptCommand({
          KeyId: this.keyArn,
          CiphertextBlob: wrapped,
          EncryptionContext: this.context,
        }),
      );
      if (Plaintext === undefined) throw new Error('it gave no key');
      return Buffer.from(Plaintext);
    } catch (cause) {
      throw refused(this.keyArn, "does not open a payload's data key", cause);
    }
  }

  private remember(text: string, key: Promise<Buffer>): void {
    this.opened.set(text, key);
    const oldest = this.opened.size > KEPT ? this.opened.keys().next().value : undefined;
    if (oldest !== undefined) this.opened.delete(oldest);
  }
}

const wrappedText = (wrapped: Uint8Array): string => Buffer.from(wrapped).toString('base64');

function refused(keyArn: string, what: string, cause: unknown): WireError {
  const code = cause instanceof Error && cause.name !== 'Error' ? `${cause.name}: ` : '';
  return new WireError(
    `The KMS key ${keyArn} ${what} (${code}${messageOf(cause)}); see the key, its policy and this process's role (docs/wire.md).`,
    { cause },
  );
}
