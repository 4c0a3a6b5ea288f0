import { CompleteSnapshotCommand, PutSnapshotBlockCommand, StartSnapshotCommand } from '@aws-sdk/client-ebs';
import { DeleteSnapshotCommand, DescribeSnapshotsCommand } from '@aws-sdk/client-ec2';
import { hash } from 'node:crypto';
import { open, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { isCopyProgress } from '../../blocks/progress';
import { BLOCK_SIZE } from '../../blocks/port';
import { takePlanState } from '../../repository/plans/plan-state';
import { patternBlock, patternDisk, type Pattern } from '../support/synthetic-disk';
import { backUp, idOf } from './copy-backup';
import { copyWhole } from './copy-disk';
import { type CopySite, inActivity, newEnvironment, startCopySite, VM } from './copy-site';

const random = (seed: string | number): Pattern => ({ random: String(seed) });
/** No multiple of a block, nor of a GiB: 43 blocks, the last one of 3 sectors. */
const SIZE = 42 * BLOCK_SIZE + 3 * 512;
const patterns = Array.from({ length: 43 }, (_, n) => (n % 4 === 3 ? 'zero' : random(n)));
const DATA_BLOCKS = patterns.filter((pattern) => pattern !== 'zero').length;

let site: CopySite;
let calls: string[];
beforeEach(async () => {
  calls = [];
  site = await startCopySite(({ operation }, handle) => {
    calls.push(operation);
    return handle();
  });
});
afterEach(async () => {
  jest.restoreAllMocks();
  await site.close();
});

/** A DR copy of the VM, and what there is to verify of its disk. */
async function drCopy() {
  site.hypervisor.setDisk('system', patternDisk(patterns, SIZE));
  const { run } = site;
  const activities = site.activities();
  await backUp(site, 1, { activities });
  const restore = await inActivity(activities.planRestore, { run, vm: VM });
  const input = { run, vm: VM, attempt: 1, restore, disk: restore.disks[0]! };
  const { snapshotId } = await inActivity(activities.startSnapshot, input);
  await copyWhole(activities, restore, input, snapshotId);
  const { generation } = await takePlanState(site.store, run, ['none'], 'protected');
  await inActivity(activities.publishDrCopy, {
    run: { ...run, generation },
    vm: VM,
    restore,
    snapshots: [{ diskKey: 'system', snapshotId }],
  });
  const { recoveryPoint, disks: found } = await inActivity(activities.readDrCopy, { run, vm: VM });
  expect(recoveryPoint).toBe(idOf(1));
  const verify = { run, vm: VM, recoveryPoint, disk: found[0]! };
  return { activities, snapshotId, verify };
}

/** A completed snapshot with these blocks over a parent's. */
async function snapshotWith(blocks: Map<number, Buffer>, ParentSnapshotId?: string): Promise<string> {
  const started = await site.ebs.send(new StartSnapshotCommand({ VolumeSize: 1, ParentSnapshotId }));
  const { SnapshotId = '' } = started;
  for (const [BlockIndex, BlockData] of blocks)
    await site.ebs.send(
      new PutSnapshotBlockCommand({
        SnapshotId,
        BlockIndex,
        BlockData,
        DataLength: BLOCK_SIZE,
        Checksum: hash('sha256', BlockData, 'base64'),
        ChecksumAlgorithm: 'SHA256',
      }),
    );
  await site.ebs.send(new CompleteSnapshotCommand({ SnapshotId, ChangedBlocksCount: blocks.size }));
  for (;;) {
    const { Snapshots } = await site.ec2.send(new DescribeSnapshotsCommand({ SnapshotIds: [SnapshotId] }));
    if (Snapshots?.[0]?.State === 'completed') break;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  return SnapshotId;
}

const damage = (block: number, how: string) => ({
  type: 'DrCopyDamaged',
  nonRetryable: true,
  message: expect.stringMatching(
    new RegExp(`DR copy of db is damaged: block ${block} of the disk "system" .*${how}`),
  ) as string,
});

describe('verifying a DR copy', () => {
  it('reads every block, tells how far it is, changes nothing, and goes on from the last heartbeat', async () => {
    const { activities, verify } = await drCopy();
    calls.length = 0;
    const environment = newEnvironment();
    const beats: unknown[] = [];
    environment.on('heartbeat', (details: unknown) => beats.push(details));
    const result = await inActivity(activities.verifyDisk, verify, environment);
    expect(result).toMatchObject({ blocks: DATA_BLOCKS, bytes: DATA_BLOCKS * BLOCK_SIZE });
    expect(beats.every(isCopyProgress)).toBe(true);
    expect(calls.filter((operation) => operation === 'GetSnapshotBlock')).toHaveLength(DATA_BLOCKS);
    expect(calls.filter((operation) => !/^(Get|List|Head|Describe)/.test(operation))).toEqual([]);

    calls.length = 0;
    const heartbeatDetails = {
      resumeAt: 30,
      doneBlocks: 23,
      bytes: 23 * BLOCK_SIZE,
      beganAt: Date.now() - 60_000,
    };
    const resumed = await inActivity(activities.verifyDisk, verify, newEnvironment({ heartbeatDetails }));
    expect(resumed).toMatchObject({ blocks: DATA_BLOCKS, bytes: DATA_BLOCKS * BLOCK_SIZE });
    expect(resumed.seconds).toBeGreaterThanOrEqual(60);
    expect(calls.filter((operation) => operation === 'GetSnapshotBlock')).toHaveLength(DATA_BLOCKS - 23);
  }, 60_000);

  it.each<[string, number, Buffer, string | undefined]>([
    ['another block', 17, patternBlock(random('other')), 'holds other data'],
    ['zeros where there is data', 17, patternBlock('zero'), 'holds other data'],
    ['data where there are zeros', 19, patternBlock(random('other')), 'where there should be zeros'],
    ['data past the end, in the last block', 42, patternBlock(random(42)), 'holds other data'],
    [
      'data past the end, in a block of its own',
      1000,
      patternBlock(random('other')),
      'beyond the end of the disk',
    ],
    ['zeros where zeros are', 19, patternBlock('zero'), undefined],
    ['zeros past the end', 1000, patternBlock('zero'), undefined],
  ])(
    'judges a snapshot with %s',
    async (_, index, block, how) => {
      const { activities, snapshotId, verify } = await drCopy();
      const other = await snapshotWith(new Map([[index, block]]), snapshotId);
      const input = { ...verify, disk: { ...verify.disk, snapshotId: other } };
      const verifying = inActivity(activities.verifyDisk, input);
      if (how === undefined) await verifying;
      else await expect(verifying).rejects.toMatchObject(damage(index, how));
    },
    60_000,
  );

  it('finds a block that is missing', async () => {
    const { activities, verify } = await drCopy();
    const disk = patternDisk(patterns);
    const blocks = new Map<number, Buffer>();
    patterns.forEach((pattern, n) => {
      const block = Buffer.alloc(BLOCK_SIZE);
      disk.copy(block, 0, n * BLOCK_SIZE, n === 42 ? SIZE : (n + 1) * BLOCK_SIZE);
      if (pattern !== 'zero' && n !== 20) blocks.set(n, block);
    });
    const input = { ...verify, disk: { ...verify.disk, snapshotId: await snapshotWith(blocks) } };
    await expect(inActivity(activities.verifyDisk, input)).rejects.toMatchObject(
      damage(20, 'is missing, and should hold data'),
    );
  }, 60_000);

  it('finds a bit that has flipped where EBS keeps the block', async () => {
    const { activities, verify } = await drCopy();
    const layers = join(site.directory, 'aws', 'storage', 'layers');
    const [name] = (await readdir(layers)).filter((file) => file.endsWith('.data'));
    const file = await open(join(layers, name!), 'r+');
    const byte = Buffer.alloc(1);
    await file.read(byte, 0, 1, 21 * BLOCK_SIZE + 4711);
    await file.write(Buffer.from([byte[0]! ^ 0x10]), 0, 1, 21 * BLOCK_SIZE + 4711);
    await file.close();
    // Without the waits between tries that a random part of a bound makes.
    jest.spyOn(Math, 'random').mockReturnValue(0);
    await expect(inActivity(activities.verifyDisk, verify)).rejects.toMatchObject(damage(21, 'checksum'));
  }, 60_000);

  it('says so when the DR copy was replaced meanwhile, and when there is none', async () => {
    const { activities, snapshotId, verify } = await drCopy();
    await site.ec2.send(new DeleteSnapshotCommand({ SnapshotId: snapshotId }));
    await expect(inActivity(activities.verifyDisk, verify)).rejects.toMatchObject({
      type: 'DrCopyReplaced',
      nonRetryable: true,
    });
    await expect(inActivity(activities.readDrCopy, { run: site.run, vm: VM })).rejects.toMatchObject({
      type: 'NoDrCopy',
      nonRetryable: true,
    });
  }, 60_000);
});
