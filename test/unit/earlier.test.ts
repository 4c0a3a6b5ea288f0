import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Tag } from '@aws-sdk/client-ec2';
import { completeSets } from '../../activities/aws-proxy/account/dr-copy';
import { readCopySnapshot } from '../../activities/aws-proxy/account/tags';
import { localHypervisor } from '../../hypervisor/local';
import { loadPlanFile } from '../../plan/load';
import { type BackupManifest } from '../../repository/backups/manifest';
import { readManifest } from '../../repository/backups/backups';
import { manifestKey } from '../../repository/objects/keys';
import { loadPlan, planDigest } from '../../repository/plans/plans';
import { MemoryObjectStore } from '../support/memory-object-store';

/**
 * What version 0.1.0 wrote before VMs had a name of the data centre's, disks a controller and snapshots notes: its own
 * code has written these files, and they stay as they are.
 */
const EARLIER = join(__dirname, '../earlier/0.1.0');
const earlier = (file: string): Promise<Buffer> => readFile(join(EARLIER, file));

const ID = '20261123T181500Z-0199abcd';
const DISKS = [
  { key: 'system', sizeBytes: 1_200_000_512, slot: 0, boot: true },
  { key: 'data', sizeBytes: 268_435_456, slot: 1, boot: false },
];

it('a plan file is the plan that it was, to the digest', async () => {
  const { plan } = await loadPlanFile(join(EARLIER, 'plan/plan.yaml'));
  const normalized = await earlier('normalized-plan.json');
  expect(planDigest(plan)).toBe(createHash('sha256').update(normalized).digest('hex'));
  expect(plan).toEqual(JSON.parse(normalized.toString()));
});

it('a published plan is read, and published again under its digest', async () => {
  const normalized = await earlier('normalized-plan.json');
  const digest = createHash('sha256').update(normalized).digest('hex');
  const store = new MemoryObjectStore();
  await store.put(`plans/${digest}.json`, normalized);
  const { plan } = await loadPlan(store, 'shop', digest);
  expect(planDigest(plan)).toBe(digest);
  expect(plan.vms.map(({ name }) => name)).toEqual(['db', 'web']);
});

it('a manifest is read whole', async () => {
  const bytes = await earlier('manifest.json');
  const store = new MemoryObjectStore();
  await store.put(manifestKey('db', ID), bytes);
  const manifest = await readManifest(store, 'db', ID);
  const { sha256: _, ...written } = JSON.parse(bytes.toString()) as BackupManifest & { sha256: string };
  expect(manifest).toEqual(written);
  expect(manifest?.configuration).toMatchObject({ diskController: 'sata', disks: DISKS });
});

it('the tags of a DR copy make a set, whose disks name no controller', async () => {
  const tagged = JSON.parse((await earlier('snapshot-tags.json')).toString()) as Tag[][];
  const snapshots = tagged.map((Tags, index) => ({
    snapshot: { SnapshotId: `snap-${index}`, State: 'completed' as const, VolumeSize: 2, Tags },
    tags: readCopySnapshot(Tags)!,
  }));
  const [set] = completeSets('db', snapshots);
  expect(set).toMatchObject({ recoveryPoint: ID, disks: DISKS });
  for (const disk of set!.disks) expect(disk).not.toHaveProperty('controller');
});

it('a vm.json is the VM that it was, and takes a further disk', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'lifeboat-earlier-'));
  try {
    const home = join(directory, 'vms', 'db');
    await mkdir(home, { recursive: true });
    const vmJson = await earlier('vm.json');
    await writeFile(join(home, 'vm.json'), vmJson);
    const hypervisor = localHypervisor({ directory });
    const { configuration, mark } = JSON.parse(vmJson.toString()) as { configuration: object; mark: string };
    expect(await hypervisor.describeVm('db')).toEqual({ ...configuration, mark, power: 'off' });

    const more = { key: 'more', sizeBytes: 512, boot: false };
    await expect(hypervisor.addDisk('db', { ...more, slot: 1 })).rejects.toThrow(/both at scsi0:1/);
    await hypervisor.addDisk('db', { ...more, slot: 1, controller: { kind: 'pvscsi', bus: 1 } });
    expect((await hypervisor.describeVm('db')).disks).toHaveLength(3);
  } finally {
    await rm(directory, { recursive: true });
  }
});
