import { type KMSClient } from '@aws-sdk/client-kms';
import { defaultPayloadConverter, type Payload } from '@temporalio/common';
import { shopFixtures, REGION } from '../../sandbox/aws/fixtures';
import { ACCOUNT_ID } from '../../sandbox/aws/account';
import { kmsCalls } from '../../sandbox/aws/iam/calls/other-calls';
import { evaluate } from '../../sandbox/aws/iam/evaluation/evaluate';
import { type PolicyStatement } from '../../sandbox/aws/iam/policy-document';
import { readPolicy } from '../../sandbox/aws/iam/policy-files';
import { EncryptingCodec } from '../../wire/codec';
import { KmsDataKeys } from '../../wire/kms-data-keys';
import { ringKeys } from '../../wire/payload-keys';
import { WatchedKeyRing } from '../../wire/watched-key-ring';
import { KeyFile, newKey } from '../support/codec-keys';
import { eventually } from '../support/eventually';
import { startTestAccount, type TestAccount } from './test-account';

const key = (number: number): string =>
  `arn:aws:kms:${REGION}:${ACCOUNT_ID}:key/00000000-0000-4000-8000-00000000000${number}`;
const [OURS, OTHERS, DISABLED] = [key(1), key(2), key(3)] as const;
const VALUES = {
  ...{ region: REGION, accountId: ACCOUNT_ID, plans: ['shop'], bucket: 'bucket', prefix: '' },
};
const PLAN = { plan: 'shop', address: '10.0.1.20' };

describe('data keys of KMS', () => {
  let account: TestAccount;
  let file: KeyFile;
  const calls: string[] = [];
  let away = false;

  beforeAll(async () => {
    const fixtures = {
      ...shopFixtures(),
      kmsKeys: { [OURS]: 'Enabled', [OTHERS]: 'Enabled', [DISABLED]: 'Disabled' },
    } as const;
    account = await startTestAccount(undefined, {}, fixtures);
    account.clients.kms.middlewareStack.add(
      (next, { commandName }) =>
        async (args) => {
          calls.push(commandName ?? '');
          if (away) throw Object.assign(new Error('KMS is away'), { name: 'KMSInternalException' });
          return next(args);
        },
      { step: 'initialize' },
    );
    file = new KeyFile().write('kms', { kms: { kms: OURS }, old: newKey() });
  });
  beforeEach(() => {
    calls.length = 0;
    away = false;
  });
  afterAll(async () => {
    file?.remove();
    await account?.close();
  });

  const codec = (namespace = 'prod', keys = file, kms: KMSClient = account.clients.kms) =>
    new EncryptingCodec(
      ringKeys(new WatchedKeyRing(keys.file), namespace, () => kms),
      namespace,
    );
  const payloads = (count = 1): Payload[] =>
    Array.from({ length: count }, () => defaultPayloadConverter.toPayload(PLAN));
  const read = ([payload]: Payload[]): unknown => defaultPayloadConverter.fromPayload(payload as Payload);

  it('are made once for many payloads, and opened once by another process', async () => {
    const writer = codec();
    const encrypted = [...(await writer.encode(payloads(20))), ...(await writer.encode(payloads(20)))];
    expect(read(await writer.decode(encrypted))).toEqual(PLAN);
    expect(calls).toEqual(['GenerateDataKeyCommand']);
    const reader = codec();
    expect((await reader.decode(encrypted)).length).toBe(40);
    expect(read(await reader.decode(encrypted))).toEqual(PLAN);
    expect(calls).toEqual(['GenerateDataKeyCommand', 'DecryptCommand']);
  });

  it('are bound to the namespace by the encryption context', async () => {
    const encrypted = await codec('prod').encode(payloads());
    await expect(codec('test').decode(encrypted)).rejects.toThrow(
      new RegExp(`^The KMS key ${OURS} does not open a payload's data key \\(InvalidCiphertextException`),
    );
  });

  it('need the policy, and each part of it', () => {
    const policy = readPolicy('payload-keys', { ...VALUES, payloadKeys: [OURS.replace(/.*\//, '')] });
    const [statement] = policy.Statement as [PolicyStatement];
    const context = { 'kms:EncryptionContext:lifeboat:for': 'temporal-payloads' };
    const may = (
      action: string,
      asked = statement,
      more: { resource?: string; context?: object } = {},
    ): boolean =>
      evaluate([{ ...policy, Statement: [asked] }], {
        action,
        ...{ resource: OURS, context },
        ...more,
      } as never).effect === 'allowed';
    for (const action of ['kms:GenerateDataKey', 'kms:Decrypt']) {
      expect(may(action)).toBe(true);
      const others = (statement.Action as string[]).filter((one) => one !== action);
      expect(may(action, { ...statement, Action: others })).toBe(false);
      expect(may(action, statement, { resource: OTHERS })).toBe(false);
      expect(may(action, statement, { context: {} })).toBe(false);
      expect(may(action, { ...statement, Condition: undefined }, { context: {} })).toBe(true);
    }
    const asked = kmsCalls.GenerateDataKey?.(
      { KeyId: OURS, EncryptionContext: { 'lifeboat:for': 'temporal-payloads' } } as never,
      { account: { config: { region: REGION } } } as never,
    );
    expect(asked).toEqual([{ action: 'kms:GenerateDataKey', resource: OURS, context }]);
  });

  it('of another KMS key are not opened', async () => {
    const others = new KeyFile().write('kms', { kms: { kms: OTHERS } });
    const encrypted = await codec('prod', others).encode(payloads());
    others.remove();
    await expect(codec().decode(encrypted)).rejects.toThrow(/IncorrectKeyException/);
    const [one] = encrypted as [Payload];
    await expect(
      codec().decode([
        { ...one, metadata: { ...one.metadata, 'encryption-data-key': Buffer.alloc(10_000) } },
      ]),
    ).rejects.toThrow(/cannot be one of the KMS key/);
    expect(calls.filter((call) => call === 'DecryptCommand')).toHaveLength(1);
  });

  it('are not made by a key that cannot be used, which is told', async () => {
    const disabled = new KeyFile().write('kms', { kms: { kms: DISABLED } });
    await expect(codec('prod', disabled).encode(payloads())).rejects.toThrow(
      new RegExp(`^The KMS key ${DISABLED} makes no data key \\(DisabledException: .*docs/wire\\.md`),
    );
    disabled.remove();
  });

  it('are used on while KMS is away, and made anew after an hour', async () => {
    let now = 0;
    const keys = new KmsDataKeys(account.clients.kms, OURS, 'prod', () => now);
    const first = await keys.forEncrypting();
    now += 59 * 60 * 1000;
    expect((await keys.forEncrypting()).bytes).toEqual(first.bytes);
    now += 2 * 60 * 1000;
    away = true;
    expect((await keys.forEncrypting()).bytes).toEqual(first.bytes);
    // A new one is made beside what is encrypted by the old one.
    await eventually(10, () => Promise.resolve(calls.length === 2 ? true : undefined));
    away = false;
    await eventually(10, async () => {
      now += 2 * 60 * 1000;
      return (await keys.forEncrypting()).bytes.equals(first.bytes) ? undefined : true;
    });
    expect((await keys.forEncrypting()).bytes).not.toEqual(first.bytes);
    expect(calls).toEqual(Array(3).fill('GenerateDataKeyCommand'));
  });

  it('are used on while KMS takes a call and never answers', async () => {
    let now = 0;
    let silent = false;
    const kms = {
      send: (command: never) => (silent ? new Promise(() => {}) : account.clients.kms.send(command)),
    } as unknown as KMSClient;
    const keys = new KmsDataKeys(kms, OURS, 'prod', () => now);
    const first = await keys.forEncrypting();
    now += 2 * 60 * 60 * 1000;
    silent = true;
    for (let n = 0; n < 3; n++) expect((await keys.forEncrypting()).bytes).toEqual(first.bytes);
  });
});
