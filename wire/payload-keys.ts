import { type KMSClient } from '@aws-sdk/client-kms';
import { printable } from '../plan/printable';
import type * as kmsModule from './kms-data-keys';
import type * as clientsModule from '../activities/aws-proxy/account/single-clients';
import { type WatchedKeyRing } from './watched-key-ring';
import { WireError } from './wire-error';

/** What payloads are encrypted with. */
export interface EncryptingKey {
  id: string;
  bytes: Buffer;
  /** The key itself, encrypted by KMS; travels with the payload. */
  wrapped?: Uint8Array;
}

/** The keys of a process, for the payloads of one namespace. */
export interface PayloadKeys {
  /** @returns undefined where payloads are to stay plain. @throws WireError */
  forEncrypting(): Promise<EncryptingKey | undefined>;
  /** @param wrapped the data key, where the payload brings one. @throws WireError where the key is not there */
  forDecrypting(id: string, wrapped: Uint8Array | undefined): Promise<Buffer>;
}

/** Tries of a KMS call, by the SDK itself: no workflow stands behind a payload. */
const KMS_TRIES = 4;

/** The KMS of a Region. AWS's client is loaded where a ring names a KMS key. */
function kmsOf(region: string): KMSClient {
  // eslint-disable-next-line @typescript-eslint/no-require-imports -- as cli/lazy-module.ts: commands without KMS start faster
  const { kmsClient } = require('../activities/aws-proxy/account/single-clients') as typeof clientsModule;
  return kmsClient({ region, maxAttempts: KMS_TRIES });
}

/** The keys of a ring's file. @param kms the client of a Region */
export function ringKeys(
  ring: WatchedKeyRing,
  namespace: string,
  kms: (region: string) => KMSClient = kmsOf,
): PayloadKeys {
  const dataKeys = new Map<string, kmsModule.KmsDataKeys>();
  const dataKeysOf = (arn: string): kmsModule.KmsDataKeys => {
    let found = dataKeys.get(arn);
    if (found === undefined) {
      // eslint-disable-next-line @typescript-eslint/no-require-imports -- as above
      const { KmsDataKeys } = require('./kms-data-keys') as typeof kmsModule;
      found = new KmsDataKeys(kms(arn.split(':')[3] ?? ''), arn, namespace);
      dataKeys.set(arn, found);
    }
    return found;
  };
  return {
    async forEncrypting() {
      const { encryptsWith: id, keys } = ring.current();
      const key = id === undefined ? undefined : keys.get(id);
      if (id === undefined || key === undefined) return undefined;
      return 'bytes' in key
        ? { id, bytes: key.bytes }
        : { id, ...(await dataKeysOf(key.kms).forEncrypting()) };
    },
    async forDecrypting(id, wrapped) {
      // A key that is new elsewhere may have come into the file just now.
      const key = ring.current().keys.get(id) ?? ring.current(true).keys.get(id);
      if (key === undefined)
        throw new WireError(
          `A payload is encrypted with the key "${printable(id)}", which ${ring.file} (LIFEBOAT_CODEC_KEYS) does not have: put it there, and this goes on.`,
        );
      if ('bytes' in key) return key.bytes;
      return dataKeysOf(key.kms).forDecrypting(wrapped ?? new Uint8Array());
    },
  };
}

/** Where LIFEBOAT_CODEC_KEYS is not set: what is plain is read, and what is encrypted is told of. */
export const NO_KEYS: PayloadKeys = {
  forEncrypting: () => Promise.resolve(undefined),
  forDecrypting: (id) =>
    Promise.reject(
      new WireError(
        `A payload is encrypted with the key "${printable(id)}", and this process has no keys: set LIFEBOAT_CODEC_KEYS to the file that has it (docs/wire.md).`,
      ),
    ),
};
