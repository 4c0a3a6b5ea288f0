import { PutSnapshotBlockCommand, StartSnapshotCommand, CompleteSnapshotCommand } from '@aws-sdk/client-ebs';
import { hash } from 'node:crypto';
import { snsClient } from '../../activities/aws-proxy/account/single-clients';
import { backupProxyPrivileges } from '../../activities/backup-proxy/privileges';
import { controlPrivileges } from '../../activities/control/workers/privileges';
import { type Finding } from '../../plan/readiness';
import { manifestKey, packKey } from '../../repository/objects/keys';
import { ACCOUNT_ID } from '../../sandbox/aws/account';
import { REGION, SHOP_TOPIC } from '../../sandbox/aws/fixtures';
import { type FailoverSite, startFailoverSite } from '../support/failover-site';
import { waitUntilCompleted } from '../support/failover-listing';

const TOPIC = `arn:aws:sns:${REGION}:${ACCOUNT_ID}:${SHOP_TOPIC}`;
const PACK = packKey('db', '20261201T030000Z-0123abcd', 'scsi0-0', 1);
const MANIFEST = manifestKey('db', '20261201T030000Z-0123abcd');
const BLOCK = Buffer.alloc(512 * 1024, 7);

describe('what workers may do is asked by calls that change nothing', () => {
  let site: FailoverSite;
  let snapshotId: string;

  beforeAll(async () => {
    site = await startFailoverSite();
    const { ebs, ec2 } = site.clients;
    const { SnapshotId = '' } = await ebs.send(new StartSnapshotCommand({ VolumeSize: 1 }));
    await ebs.send(
      new PutSnapshotBlockCommand({
        ...{ SnapshotId, BlockIndex: 0, BlockData: BLOCK, DataLength: BLOCK.length },
        ...{ Checksum: hash('sha256', BLOCK, 'base64'), ChecksumAlgorithm: 'SHA256' },
      }),
    );
    await ebs.send(new CompleteSnapshotCommand({ SnapshotId, ChangedBlocksCount: 1 }));
    await waitUntilCompleted(ec2, [SnapshotId]);
    snapshotId = SnapshotId;
    // A backup that is there, which it is asked by.
    await site.store.putNew(PACK, Buffer.from('a pack'));
    await site.store.putNew(MANIFEST, Buffer.from('a manifest'));
  });
  afterAll(() => site.stop());
  beforeEach(() => {
    site.faults.length = 0;
    site.calls.length = 0;
  });

  const backupProxy = (question: { snapshotId?: string } = { snapshotId }) =>
    backupProxyPrivileges({ store: site.store, ebs: site.clients.ebs }, 'backup-proxy@there:2', {
      vm: 'db',
      ...question,
    });
  const control = () =>
    controlPrivileges(site.store, 'shop', [TOPIC, TOPIC], (region) =>
      snsClient({ region, endpoint: site.run('check').repository.endpoint }),
    );
  const refuse = (operation: string, code: string, matches?: RegExp) =>
    site.faults.push({
      ...{ operation, times: 9, code },
      matches: (input) => matches === undefined || matches.test(String(input.Key)),
    });
  const written = async () => {
    const keys: string[] = [];
    for await (const { key } of site.store.list('')) keys.push(key);
    return keys;
  };

  it('finds nothing where all is permitted, and has written and told nothing', async () => {
    const before = await written();
    site.calls.length = 0;
    expect([await backupProxy(), await backupProxy({}), await control()]).toEqual([[], [], []]);
    const asked = site.calls.map(({ operation }) => operation);
    expect(await written()).toEqual(before);
    expect((await site.store.get(PACK))?.body.toString()).toBe('a pack');
    expect((await site.store.get(MANIFEST))?.body.toString()).toBe('a manifest');
    expect(new Set(asked)).toEqual(
      new Set([
        'PutObject',
        'ListObjectsV2',
        'ListSnapshotBlocks',
        'ListChangedBlocks',
        'GetSnapshotBlock',
        'Publish',
      ]),
    );
    // Each topic once.
    expect(asked.filter((operation) => operation === 'Publish')).toHaveLength(1);
  });

  const missing: [
    what: string,
    ask: () => Promise<Finding[]>,
    refused: Parameters<typeof refuse>,
    action: string,
    severity: string,
  ][] = [
    [
      'packs of a backup',
      backupProxy,
      ['PutObject', 'AccessDenied', /^db\/packs\//],
      's3:PutObject',
      'warning',
    ],
    [
      'recovery points',
      backupProxy,
      ['PutObject', 'AccessDenied', /^db\/backups\//],
      's3:PutObject',
      'warning',
    ],
    ['pins', backupProxy, ['PutObject', 'AccessDenied', /^pins\/db\//], 's3:PutObject', 'warning'],
    [
      'a list of blocks',
      backupProxy,
      ['ListSnapshotBlocks', 'AccessDeniedException'],
      'ebs:ListSnapshotBlocks',
      'warning',
    ],
    [
      'changed blocks',
      backupProxy,
      ['ListChangedBlocks', 'AccessDeniedException'],
      'ebs:ListChangedBlocks',
      'warning',
    ],
    [
      'a block',
      backupProxy,
      ['GetSnapshotBlock', 'AccessDeniedException'],
      'ebs:GetSnapshotBlock',
      'warning',
    ],
    [
      "the plan's state",
      control,
      ['PutObject', 'AccessDenied', /^state\/shop\.json/],
      's3:PutObject',
      'impossible',
    ],
    ['evidence', control, ['PutObject', 'AccessDenied', /^evidence\/shop\//], 's3:PutObject', 'warning'],
    ['a topic', control, ['Publish', 'AuthorizationError'], 'sns:Publish', 'warning'],
  ];

  it.each(missing)('names the action that is missing for %s', async (_, ask, refused, action, severity) => {
    refuse(...refused);
    const findings = await ask();
    expect(findings).toEqual([
      expect.objectContaining({
        code: 'permission',
        severity,
        text: expect.stringContaining(action) as string,
      }),
    ]);
    expect(findings[0]?.todo).toContain(action);
  });

  it('names the action that is missing to find a backup by which the rest is asked', async () => {
    refuse('ListObjectsV2', 'AccessDenied');
    expect((await backupProxy()).map(({ code, todo }) => [code, todo])).toEqual(
      ['backups', 'packs'].map(() => ['permission', 'Allow it, as docs/aws.md has it: s3:ListBucket.']),
    );
  });

  it('says what could not be asked, and takes a snapshot that is gone for no fault', async () => {
    refuse('Publish', 'NotFound');
    expect(await control()).toMatchObject([
      { code: 'not-checked', about: `The control worker: sns:Publish ${TOPIC}` },
    ]);
    expect(await backupProxy({ snapshotId: 'snap-0123456789abcdef0' })).toEqual([]);
  });
});
