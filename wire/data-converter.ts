import { type DataConverter } from '@temporalio/common';
import { EncryptingCodec } from './codec';
import { NO_KEYS, ringKeys } from './payload-keys';
import { WatchedKeyRing } from './watched-key-ring';

/** What clients and workers of Lifeboat give Temporal's SDK. */
export interface WireDataConverter extends DataConverter {
  payloadCodecs: [EncryptingCodec];
}

/**
 * The data converter of all of Lifeboat's clients and workers: with LIFEBOAT_CODEC_KEYS it encrypts payloads, and the messages of failures, and
 * decrypts them; without, it says so where it meets one that is encrypted.
 * @param namespace of Temporal; payloads are bound to it
 * @throws WireError where the file of keys is broken
 */
export function dataConverterFor(namespace: string, env: NodeJS.ProcessEnv = process.env): WireDataConverter {
  const file = env.LIFEBOAT_CODEC_KEYS ?? '';
  if (file === '') return { payloadCodecs: [new EncryptingCodec(NO_KEYS, namespace)] };
  return {
    payloadCodecs: [codecsOf(file)(namespace)],
    failureConverterPath: require.resolve('./encoded-failures'),
  };
}

/** Namespaces whose codecs are kept. */
const KEPT = 100;

/** The codecs of the namespaces that a file of keys is for. @throws WireError where it is broken */
export function codecsOf(file: string): (namespace: string) => EncryptingCodec {
  const ring = new WatchedKeyRing(file);
  const codecs = new Map<string, EncryptingCodec>();
  return (namespace) => {
    const known = codecs.get(namespace);
    if (known !== undefined) return known;
    if (codecs.size >= KEPT) codecs.clear();
    const codec = new EncryptingCodec(ringKeys(ring, namespace), namespace);
    codecs.set(namespace, codec);
    return codec;
  };
}
