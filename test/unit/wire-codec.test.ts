import {
  ApplicationFailure,
  defaultPayloadConverter,
  type Payload,
  type ProtoFailure,
} from '@temporalio/common';
import { EncryptingCodec } from '../../wire/codec';
import { dataConverterFor } from '../../wire/data-converter';
import { encodingFailures } from '../../wire/failures';
import { readKeyRing } from '../../wire/key-ring';
import { ringKeys } from '../../wire/payload-keys';
import { WatchedKeyRing } from '../../wire/watched-key-ring';
import { WireError } from '../../wire/wire-error';
import { KeyFile, newKey } from '../support/codec-keys';

const PLAN = { plan: 'shop', address: '10.0.1.20', record: 'www.shop.example' };

let keys: KeyFile;
beforeEach(() => (keys = new KeyFile()));
afterEach(() => keys.remove());

const codecOf = (namespace = 'prod', env = keys.env): EncryptingCodec =>
  dataConverterFor(namespace, env).payloadCodecs[0];
const plain = (): Payload => defaultPayloadConverter.toPayload(PLAN);
const read = ([payload]: Payload[]): unknown => defaultPayloadConverter.fromPayload(payload as Payload);
const text = (payload: Payload): string =>
  JSON.stringify([payload.metadata, payload.data].map((part) => Object.values(part ?? {}).map(String))) +
  Buffer.from(payload.data ?? []).toString('latin1');

async function problemOf(what: () => unknown): Promise<string> {
  try {
    await what();
  } catch (error) {
    if (error instanceof WireError) return error.message;
    throw error;
  }
  throw new Error('It was accepted.');
}

describe('the codec of payloads', () => {
  it('gives back what it was given, and shows nothing of it in between, nor the same twice', async () => {
    const codec = codecOf('prod', keys.write('k1', { k1: newKey() }).env);
    const [one, two] = (await codec.encode([plain(), plain()])) as [Payload, Payload];
    for (const secret of Object.values(PLAN)) expect(text(one)).not.toContain(secret);
    expect(Buffer.from(one.metadata?.encoding ?? []).toString()).toBe('binary/encrypted');
    expect(Buffer.from(one.metadata?.['encryption-key-id'] ?? []).toString()).toBe('k1');
    expect(Buffer.compare(one.data as Buffer, two.data as Buffer)).not.toBe(0);
    expect(read(await codec.decode([one]))).toEqual(PLAN);
    expect(await codec.encode([])).toEqual([]);
  });

  it('reads what is plain, and leaves it plain where it only decrypts', async () => {
    const codec = codecOf('prod', keys.write('none', { k1: newKey() }).env);
    expect(read(await codec.decode([plain()]))).toEqual(PLAN);
    expect(await codec.encode([plain()])).toEqual([plain()]);
  });

  it('changes keys without a restart, and reads what the one before has encrypted', async () => {
    const [old, young] = [newKey(), newKey()];
    let now = 0;
    const ring = new WatchedKeyRing(keys.write('old', { old }).file, () => now);
    const codec = new EncryptingCodec(ringKeys(ring, 'prod'), 'prod');
    const before = await codec.encode([plain()]);
    keys.write('young', { old, young });
    now += 10_000;
    const after = await codec.encode([plain()]);
    expect(Buffer.from(after[0]?.metadata?.['encryption-key-id'] ?? []).toString()).toBe('young');
    expect(read(await codec.decode(before))).toEqual(PLAN);
    expect(read(await codec.decode(after))).toEqual(PLAN);
  });

  it('looks for a key that it does not know at once, and names it where it is not there', async () => {
    const [old, young] = [newKey(), newKey()];
    const other = new KeyFile().write('young', { young });
    try {
      const encrypted = await codecOf('prod', other.env).encode([plain()]);
      const codec = codecOf('prod', keys.write('old', { old }).env);
      await codec.encode([plain()]);
      expect(await problemOf(() => codec.decode(encrypted))).toMatch(
        /^A payload is encrypted with the key "young", which .*codec-keys\.yaml \(LIFEBOAT_CODEC_KEYS\) does not have/,
      );
      keys.write('old', { old, young });
      expect(read(await codec.decode(encrypted))).toEqual(PLAN);
      expect(await problemOf(() => codecOf('prod', {}).decode(encrypted))).toMatch(
        /key "young", and this process has no keys: set LIFEBOAT_CODEC_KEYS/,
      );
    } finally {
      other.remove();
    }
  });

  it('goes on with the keys of before where the changed file is broken, and says so once', () => {
    let now = 0;
    const told: string[] = [];
    const ring = new WatchedKeyRing(
      keys.write('k1', { k1: newKey() }).file,
      () => now,
      (sentence) => told.push(sentence),
    );
    keys.text('encrypt: k2\nkeys: {}');
    for (now = 10_000; now < 60_000; now += 10_000) expect(ring.current().encryptsWith).toBe('k1');
    expect(told).toEqual([expect.stringMatching(/^The keys of before are used on: .*encrypt: "k2"/)]);
  });

  describe('does not take for its own', () => {
    const spoiled = (change: (payload: Payload) => void, namespace = 'prod') =>
      problemOf(async () => {
        const [payload] = (await codecOf().encode([plain()])) as [Payload];
        change(payload);
        await codecOf(namespace).decode([payload]);
      });

    beforeEach(() => keys.write('k1', { k1: newKey(), k2: newKey() }));

    it.each([0, 12, 40, -1])('what was changed at byte %d', async (at) => {
      const sentence = await spoiled(({ data }) => {
        const bytes = data as Buffer;
        const index = at < 0 ? bytes.length + at : at;
        bytes[index] = (bytes[index] ?? 0) ^ 1;
      });
      expect(sentence).toMatch(/^A payload does not come out with the key "k1"/);
    });

    it('what is too short, of another namespace, or said to be of another key', async () => {
      expect(await spoiled((payload) => (payload.data = Buffer.alloc(27)))).toMatch(/does not come out/);
      expect(await spoiled((payload) => (payload.data = undefined))).toMatch(/does not come out/);
      expect(await spoiled(() => undefined, 'test')).toMatch(/another namespace than test/);
      expect(
        await spoiled(({ metadata }) =>
          Object.assign(metadata ?? {}, { 'encryption-key-id': Buffer.from('k2') }),
        ),
      ).toMatch(/key "k2"/);
    });

    it('what is encrypted in a way that it does not know', async () => {
      expect(await spoiled(({ metadata }) => delete metadata?.['lifeboat-encryption'])).toMatch(
        /does not know/,
      );
      expect(
        await spoiled(({ metadata }) =>
          Object.assign(metadata ?? {}, { 'encryption-key-id': Buffer.from('x'.repeat(65)) }),
        ),
      ).toMatch(/does not know/);
    });
  });
});

describe('a file of keys is refused, and the error shows no key,', () => {
  const key = newKey();
  it.each([
    ['that is not there', undefined, /cannot be read \(ENOENT\)/],
    ['that is no YAML', `encrypt: [${key}`, /is no valid YAML/],
    ['with a key twice', `encrypt: k1\nkeys: { k1: ${key}, k1: ${key} }`, /is no valid YAML/],
    ['without keys', 'encrypt: k1', /wrong "keys"/],
    ['without what it encrypts with', `keys: { k1: ${key} }`, /encrypt/],
    ['with a key that it lacks', `encrypt: k2\nkeys: { k1: ${key} }`, /says encrypt: "k2"/],
    [
      'with a short key',
      `encrypt: k1\nkeys: { k1: ${key.slice(0, 20)} }`,
      /a key "k1" that is not the base64 of 32/,
    ],
    ['with something else', `encrypt: k1\nkeys: { k1: ${key} }\nmore: 1`, /more/],
    ['with a strange id', `encrypt: k1\nkeys: { "k 1": ${key} }`, /an id has letters/],
    ['with an alias of KMS', 'encrypt: k1\nkeys: { k1: { kms: alias/lifeboat } }', /no ARN of a KMS key/],
    ['that has none of this name', `encrypt: none\nkeys: { none: ${key} }`, /stands for no key/],
  ])('%s', async (_what, content, sentence) => {
    if (content !== undefined) keys.text(content);
    const problem = await problemOf(() => readKeyRing(keys.file));
    expect(problem).toMatch(sentence);
    expect(problem).toContain(keys.file);
    expect(problem).not.toContain(key.slice(0, 12));
  });

  it('that everybody may read', async () => {
    keys.write('k1', { k1: key });
    expect(readKeyRing(keys.file).encryptsWith).toBe('k1');
    keys.text(`encrypt: k1\nkeys: { k1: ${key} }`, 0o644);
    expect(await problemOf(() => readKeyRing(keys.file))).toMatch(/chmod o-rwx/);
  });
});

describe('messages of failures', () => {
  const converter = encodingFailures();
  const chain = () =>
    ApplicationFailure.create({ message: '10.0.1.20', cause: new Error('db does not answer') });
  const messages = (failure: ProtoFailure): unknown[] => [
    failure.message,
    failure.stackTrace,
    ...(failure.cause ? messages(failure.cause) : []),
  ];

  it('are in payloads, those of causes, too, and come back', () => {
    const failure = converter.errorToFailure(chain(), defaultPayloadConverter);
    expect(messages(failure)).toEqual(['Encoded failure', '', 'Encoded failure', '']);
    const error = converter.failureToError(failure, defaultPayloadConverter);
    expect([error.message, (error.cause as Error).message]).toEqual(['10.0.1.20', 'db does not answer']);
    expect(error.stack).toContain('wire-codec.test');
  });

  it('are not lost where a failure is passed on, twice', () => {
    const first = converter.errorToFailure(chain(), defaultPayloadConverter);
    const error = converter.failureToError(first, defaultPayloadConverter);
    for (let time = 0; time < 2; time++) {
      const passed = converter.errorToFailure(
        new Error('so it ended', { cause: error }),
        defaultPayloadConverter,
      );
      const back = converter.failureToError(passed, defaultPayloadConverter);
      expect((back.cause as Error).message).toBe('10.0.1.20');
      expect(((back.cause as Error).cause as Error).message).toBe('db does not answer');
    }
  });
});
