import { GetSnapshotBlockCommand, ListSnapshotBlocksCommand } from '@aws-sdk/client-ebs';
import { BLOCK_SIZE } from '../../blocks/port';
import { isZero } from '../../blocks/zero';
import { type RunContext } from '../../plan/run';
import { takePlanState } from '../../repository/plans/plan-state';
import { copyWhole } from './copy-disk';
import { type CopySite, inActivity, VM } from './copy-site';

/** Brings the VM's DR copy up to its newest backup, as the workflow does, and publishes it. */
export async function restore(site: CopySite, copy: 'direct' | 'volume', run: RunContext, attempt = 1) {
  const activities = site.activities();
  const plan = await inActivity(activities.planRestore, { run, vm: VM });
  const snapshots = [];
  const results = [];
  for (const disk of plan.disks) {
    const input = { run, vm: VM, attempt, restore: plan, disk };
    let snapshotId: string;
    if (copy === 'direct') {
      ({ snapshotId } = await inActivity(activities.startSnapshot, input));
      results.push(await copyWhole(activities, plan, input, snapshotId));
    } else {
      const { availabilityZone } = site;
      const { volumeId } = await inActivity(activities.createCopyVolume, { ...input, availabilityZone });
      results.push(await inActivity(activities.copyToVolume, { ...input, volumeId }));
      ({ snapshotId } = await inActivity(activities.snapshotCopyVolume, { ...input, volumeId }));
      await inActivity(activities.deleteVolume, { volumeId });
    }
    snapshots.push({ diskKey: disk.key, snapshotId });
  }
  const { generation } = await takePlanState(site.store, run, ['none', 'protected'], 'protected');
  await inActivity(activities.publishDrCopy, {
    run: { ...run, generation },
    vm: VM,
    restore: plan,
    snapshots,
  });
  return { plan, results, snapshotIds: snapshots.map(({ snapshotId }) => snapshotId) };
}

export const runNumber = (site: CopySite, n: number): RunContext => ({
  ...site.run,
  runId: `0199c0de-0000-7000-8000-00000000000${n}`,
});

/** What is in a snapshot, read with nothing of ours. Beyond the disk's size there must be zeros only. */
export async function snapshotBytes(site: CopySite, SnapshotId: string, sizeBytes: number): Promise<Buffer> {
  const disk = Buffer.alloc(Math.ceil(sizeBytes / BLOCK_SIZE) * BLOCK_SIZE);
  const { Blocks = [] } = await site.ebs.send(new ListSnapshotBlocksCommand({ SnapshotId }));
  for (const { BlockIndex = -1, BlockToken } of Blocks) {
    const { BlockData } = await site.ebs.send(
      new GetSnapshotBlockCommand({ SnapshotId, BlockIndex, BlockToken }),
    );
    const block = Buffer.from(await BlockData!.transformToByteArray());
    if (BlockIndex * BLOCK_SIZE < disk.length) block.copy(disk, BlockIndex * BLOCK_SIZE);
    else expect(isZero(block)).toBe(true);
  }
  expect(isZero(disk.subarray(sizeBytes))).toBe(true);
  return disk.subarray(0, sizeBytes);
}
