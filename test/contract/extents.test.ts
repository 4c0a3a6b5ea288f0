import { GetSnapshotBlockCommand, ListSnapshotBlocksCommand } from '@aws-sdk/client-ebs';
import { join } from 'node:path';
import { type Extent } from '../../activities/aws-proxy/restore/contract';
import { byDisk, type CopyProgress, isCopyProgress, wholeDisk } from '../../blocks/progress';
import { BLOCK_SIZE } from '../../blocks/port';
import { patternDisk, type Pattern } from '../support/synthetic-disk';
import { backUp, idOf } from './copy-backup';
import { type CopySite, inActivity, newEnvironment, startCopySite, VM } from './copy-site';

/** No multiple of a block; every fourth block is zeros. */
const SIZE = 120 * BLOCK_SIZE - 1024;
const patterns: Pattern[] = Array.from({ length: 120 }, (_, n) =>
  n % 4 === 3 ? 'zero' : { random: String(n) },
);

let site: CopySite;
beforeEach(async () => {
  site = await startCopySite();
});
afterEach(() => site.close());

/** The plan's extent in pieces of about that many blocks, as larger disks have them. */
function pieces({ from, to }: Extent, size: number): Extent[] {
  const extents: Extent[] = [];
  for (let start = from; start < to; start += size) {
    const end = Math.min(start + size, to);
    const blocks = patterns.slice(start, end).filter((pattern) => pattern !== 'zero').length;
    extents.push({ from: start, to: end, blocks });
  }
  return extents;
}

it('are shared by two workers, and make one snapshot, byte for byte', async () => {
  site.hypervisor.setDisk('system', patternDisk(patterns, SIZE));
  const { run } = site;
  const [one, other] = ['one', 'other'].map((host) => site.activities(join(site.directory, host)));
  await backUp(site, 1, { activities: one! });
  const restore = await inActivity(one!.planRestore, { run, vm: VM });
  const [{ extents, ...disk }] = restore.disks as [(typeof restore.disks)[0]];
  expect(extents).toEqual([{ from: 0, to: 119, blocks: 90 }]);
  const input = { run, vm: VM, attempt: 1, restore, disk };
  const { snapshotId } = await inActivity(one!.startSnapshot, input);
  const target = { run, vm: VM, attempt: 1, recoveryPoint: idOf(1), disk, snapshotId };

  const parts = pieces(extents[0]!, 16);
  expect(parts).toHaveLength(8);
  const beats: CopyProgress[] = [];
  let blocksBefore = 0;
  const copies = parts.map((extent, n) => {
    const environment = newEnvironment();
    environment.on('heartbeat', (details: unknown) => {
      if (isCopyProgress(details)) beats.push(details);
    });
    const { copyExtent } = n % 2 === 0 ? one! : other!;
    const copied = inActivity(copyExtent, { ...target, extent, blocksBefore }, environment);
    blocksBefore += extent.blocks;
    return copied;
  });
  const results = await Promise.all(copies);
  expect(results.map(({ blocks }) => blocks)).toEqual(parts.map(({ blocks }) => blocks));
  await inActivity(other!.completeSnapshot, target);
  // Told of all extents together, the progress is that of the disk.
  const first = parts.map((_, n) => beats.find(({ extent }) => extent!.blocksBefore === n * 12)!);
  expect(byDisk(first).map(wholeDisk)).toMatchObject([{ disk: 'system', totalBlocks: 90 }]);

  const expected = patternDisk(patterns, SIZE);
  const { Blocks = [] } = await site.ebs.send(new ListSnapshotBlocksCommand({ SnapshotId: snapshotId }));
  expect(Blocks).toHaveLength(90);
  for (const { BlockIndex = -1, BlockToken } of Blocks) {
    const { BlockData } = await site.ebs.send(
      new GetSnapshotBlockCommand({ SnapshotId: snapshotId, BlockIndex, BlockToken }),
    );
    const block = Buffer.alloc(BLOCK_SIZE);
    expected.copy(block, 0, BlockIndex * BLOCK_SIZE, (BlockIndex + 1) * BLOCK_SIZE);
    expect(Buffer.from(await BlockData!.transformToByteArray()).equals(block)).toBe(true);
  }
}, 60_000);

it('of which one is missing make no snapshot', async () => {
  site.hypervisor.setDisk('system', patternDisk(patterns, SIZE));
  const { run } = site;
  const activities = site.activities();
  await backUp(site, 1, { activities });
  const restore = await inActivity(activities.planRestore, { run, vm: VM });
  const [{ extents, ...disk }] = restore.disks as [(typeof restore.disks)[0]];
  const { snapshotId } = await inActivity(activities.startSnapshot, {
    run,
    vm: VM,
    attempt: 1,
    restore,
    disk,
  });
  const target = { run, vm: VM, attempt: 1, recoveryPoint: idOf(1), disk, snapshotId };
  const [, ...rest] = pieces(extents[0]!, 40);
  for (const extent of rest) await inActivity(activities.copyExtent, { ...target, extent, blocksBefore: 0 });
  const environment = newEnvironment();
  setTimeout(() => environment.cancel(), 1000);
  await expect(inActivity(activities.completeSnapshot, target, environment)).rejects.toThrow();
  const { Snapshots } = await site.ec2.send(
    new (await import('@aws-sdk/client-ec2')).DescribeSnapshotsCommand({ SnapshotIds: [snapshotId] }),
  );
  expect(Snapshots?.[0]?.State).toBe('pending');
}, 60_000);
