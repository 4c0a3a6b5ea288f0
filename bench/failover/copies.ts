import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { CompleteSnapshotCommand, StartSnapshotCommand } from '@aws-sdk/client-ebs';
import { type Tag } from '@aws-sdk/client-ec2';
import { type DrCopySet, findCopySnapshots, findDrCopies } from '../../activities/aws-proxy/account/dr-copy';
import {
  findLaunchSnapshots,
  launchCopyDigest,
  launchCopyOf,
} from '../../activities/aws-proxy/account/launch-copy';
import { tagKey, type TagField } from '../../activities/aws-proxy/account/tags';
import { hasCode } from '../../activities/failures';
import { forEachBounded } from '../../blocks/pipeline';
import { type DrPlan } from '../../plan/schema';
import { readManifest, writeManifest } from '../../repository/backups/backups';
import { type BackupManifest } from '../../repository/backups/manifest';
import { blockMapKey } from '../../repository/objects/keys';
import { siteOf } from '../../sandbox/datacenter/site-of';
import { makeGuestDisk } from '../guests';
import { type Account } from './account';
import { tieredPlan } from './plans';

/** Size of the model's disk. */
const DISK_MIB = 24;
/** No guest boots, and each of a thousand VMs has a volume of what is on the disk: at real sizes, 50 GB. */
const SIZES = { initramfs: 2 ** 20, kernel: 2 ** 16, module: 2 ** 14 };
/** Copies made at once. EBS direct takes ten snapshots a second, which is what this waits for: 200 s for a thousand VMs with launch copies. */
const AT_ONCE = 16;
const LOOK_MS = 500;

/** A snapshot with its tags. */
interface Tagged {
  id: string;
  sizeGiB: number;
  tags: Tag[];
}

/** A VM that was really backed up, restored and made ready for launch: what the others are copies of. */
export interface Model {
  manifest: BackupManifest;
  set: DrCopySet;
  drCopy: Tagged;
  launchCopy: Tagged;
}

/** Backs the model up, restores it and makes its launch copy, by the product's own runs. */
export async function makeModel(account: Account, directory: string): Promise<Model> {
  const { client, aws, store, config } = account;
  const plan = tieredPlan('model', 'm', [1], true);
  const vm = plan.vms[0]?.name ?? '';
  const path = join(directory, 'model.raw');
  await makeGuestDisk('ext4', path, DISK_MIB, directory, SIZES);
  await siteOf(config).importVm({
    name: vm,
    configuration: {
      ...{ cpus: 1, memoryMiB: 64, firmware: 'bios', nics: [], guestOs: 'debian12-64' },
      disks: [{ key: 'system', sizeBytes: (await stat(path)).size, slot: 0, boot: true }],
    },
    rawDisks: [{ key: 'system', path }],
  });
  const published = await account.publish(plan);
  await (await client.backup(published)).result();
  const restored = await (await client.restore(published)).result();
  const set = (await findDrCopies(aws.ec2, plan.name)).get(vm);
  const launchSnapshots = await findLaunchSnapshots(aws.ec2, { plan: plan.name, role: 'launch-copy' });
  const [drSnapshot] = await findCopySnapshots(aws.ec2, { plan: plan.name, role: 'dr-copy' });
  const [launchSnapshot] = launchSnapshots;
  const manifest = set && (await readManifest(store, vm, set.recoveryPoint));
  if (
    manifest === undefined ||
    set === undefined ||
    drSnapshot === undefined ||
    launchSnapshot === undefined ||
    launchCopyOf(plan, set, launchSnapshots) === undefined
  )
    throw new Error(
      `The restore of ${vm} did not leave a DR copy with a launch copy that counts: ${JSON.stringify(restored.vms)}`,
    );
  return { manifest, set, drCopy: tagged(drSnapshot), launchCopy: tagged(launchSnapshot) };
}

function tagged({
  snapshot,
}: {
  snapshot: { SnapshotId: string; VolumeSize?: number; Tags?: Tag[] };
}): Tagged {
  return { id: snapshot.SnapshotId, sizeGiB: snapshot.VolumeSize ?? 1, tags: snapshot.Tags ?? [] };
}

/**
 * Makes DR copies of a plan's VMs, and launch copies where it has them: what a restore would leave of VMs with the model's disk,
 * with its tags, but as children of the model's snapshots in which nothing has changed. Thousands of restores would take hours.
 * @throws Error where a failover would not take them
 */
export async function makeCopies({ aws, store }: Account, plan: DrPlan, model: Model): Promise<void> {
  const { recoveryPoint } = model.set;
  const withLaunchCopy = plan.replication.launchCopy === true;
  const [disk] = model.set.disks;
  if (disk === undefined) throw new Error('The model has no disk.');

  const child = async ({ id, sizeGiB, tags }: Tagged, changed: Partial<Record<TagField, string>>) => {
    const values = new Map(
      Object.entries(changed).map(([field, value]) => [tagKey(field as TagField), value]),
    );
    const Tags = tags.map(({ Key = '', Value }) => ({ Key, Value: values.get(Key) ?? Value }));
    const start = new StartSnapshotCommand({ ParentSnapshotId: id, VolumeSize: sizeGiB, Tags });
    const { SnapshotId = '' } = await whenNotTooManyPending(() => aws.ebs.send(start));
    await aws.ebs.send(new CompleteSnapshotCommand({ SnapshotId, ChangedBlocksCount: 0 }));
    return SnapshotId;
  };
  const make = async ({ name: vm }: { name: string }): Promise<void> => {
    const disks = model.manifest.disks.map((of) => ({
      ...of,
      blockMap: blockMapKey(vm, recoveryPoint, of.key),
    }));
    await writeManifest(store, { ...model.manifest, vm, disks });
    const snapshotId = await child(model.drCopy, { plan: plan.name, vm });
    if (!withLaunchCopy) return;
    const madeOf = launchCopyDigest(plan, { vm, recoveryPoint, disks: [{ ...disk, snapshotId }] });
    await child(model.launchCopy, { plan: plan.name, vm, madeOf });
  };
  await forEachBounded(plan.vms, AT_ONCE, new AbortController().signal, make);
  await untilCompleted(aws, plan, withLaunchCopy);
}

/** An account may have 100 snapshots pending, each of which takes its time to complete. */
async function whenNotTooManyPending<T>(work: () => Promise<T>): Promise<T> {
  for (;;)
    try {
      return await work();
    } catch (error) {
      if (!hasCode(error, 'ServiceQuotaExceededException')) throw error;
      await sleep(LOOK_MS);
    }
}

/** Waits until a failover would find all of them. */
async function untilCompleted(aws: Account['aws'], plan: DrPlan, withLaunchCopy: boolean): Promise<void> {
  for (;;) {
    const sets = await findDrCopies(aws.ec2, plan.name);
    const found = withLaunchCopy
      ? await findLaunchSnapshots(aws.ec2, { plan: plan.name, role: 'launch-copy' })
      : [];
    const pending = found.some(({ snapshot }) => snapshot.State === 'pending');
    if (sets.size === plan.vms.length && !pending) {
      const byVm = Map.groupBy(found, ({ tags }) => tags.vm);
      for (const { name } of plan.vms) {
        const set = sets.get(name);
        if (withLaunchCopy && (set === undefined || !launchCopyOf(plan, set, byVm.get(name) ?? [])))
          throw new Error(`The launch copy made of ${name} is none that a failover takes.`);
      }
      return;
    }
    await sleep(LOOK_MS);
  }
}
