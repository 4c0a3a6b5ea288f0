import { GetSnapshotBlockCommand, ListSnapshotBlocksCommand } from '@aws-sdk/client-ebs';
import { DescribeVolumesCommand } from '@aws-sdk/client-ec2';
import { readdir, readFile, rm, symlink, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { attachToProxy } from '../../activities/aws-proxy/proxy-host/attachment';
import { BLOCK_SIZE } from '../../blocks/port';
import { takePlanState } from '../../repository/plans/plan-state';
import { AwsError } from '../../sandbox/aws/wire/errors';
import { patternDisk, type Pattern } from '../support/synthetic-disk';
import { backUp } from './copy-backup';
import { type CopySite, inActivity, newEnvironment, startCopySite, VM } from './copy-site';
import { retried } from './run-activity';

const random = (seed: string | number): Pattern => ({ random: String(seed) });
/** No multiple of a block, nor of a GiB. */
const SIZE = 119 * BLOCK_SIZE + 3 * 512;

let site: CopySite;
/** What happens to a call before the endpoint answers it; throws to refuse it. */
let fault: (operation: string, input: Record<string, unknown>) => void;

beforeEach(async () => {
  fault = () => undefined;
  site = await startCopySite(({ operation, input }, handle) => {
    fault(operation, input);
    return handle();
  });
});
afterEach(async () => {
  await site.close();
});

/** A backup of that disk, and a restore of it that has come to its volume. */
async function begun(n: number, content: Buffer) {
  site.hypervisor.setDisk('system', content);
  const run = { ...site.run, runId: `0199c0de-0000-7000-8000-00000000000${n}` };
  const activities = site.activities();
  await backUp(site, n, { run, activities });
  const restore = await inActivity(activities.planRestore, { run, vm: VM });
  const input = { run, vm: VM, attempt: 1, restore, disk: restore.disks[0]! };
  const { availabilityZone } = site;
  const { volumeId } = await inActivity(activities.createCopyVolume, { ...input, availabilityZone });
  return { activities, input: { ...input, volumeId } };
}

type Begun = Awaited<ReturnType<typeof begun>>;

async function publish({ activities, input }: Begun): Promise<string> {
  const { snapshotId } = await inActivity(activities.snapshotCopyVolume, input);
  const { generation } = await takePlanState(site.store, input.run, ['none', 'protected'], 'protected');
  await inActivity(activities.publishDrCopy, {
    run: { ...input.run, generation },
    vm: VM,
    restore: input.restore,
    snapshots: [{ diskKey: 'system', snapshotId }],
  });
  return snapshotId;
}

/** The disk in a snapshot, read with nothing of ours. */
async function snapshotBytes(SnapshotId: string): Promise<Buffer> {
  const disk = Buffer.alloc(Math.ceil(SIZE / BLOCK_SIZE) * BLOCK_SIZE);
  const { Blocks = [] } = await site.ebs.send(new ListSnapshotBlocksCommand({ SnapshotId }));
  for (const { BlockIndex = -1, BlockToken } of Blocks) {
    const get = new GetSnapshotBlockCommand({ SnapshotId, BlockIndex, BlockToken });
    const { BlockData } = await site.ebs.send(get);
    Buffer.from(await BlockData!.transformToByteArray()).copy(disk, BlockIndex * BLOCK_SIZE);
  }
  return disk.subarray(0, SIZE);
}

describe('the volume way', () => {
  it('goes on after it was cut off, over a volume with old data, and writes zeros where data was', async () => {
    const patterns = Array.from({ length: 120 }, (_, n) => random(n));
    const first = await begun(1, patternDisk(patterns, SIZE));
    await inActivity(first.activities.copyToVolume, first.input);
    await publish(first);

    for (let n = 0; n < 90; n++) patterns[n] = n >= 20 && n < 70 ? 'zero' : random(`new ${n}`);
    patterns[119] = 'zero';
    const content = patternDisk(patterns, SIZE);
    const second = await begun(2, content);
    expect(second.input.disk).toMatchObject({ blocks: 91 });
    const environment = newEnvironment();
    let packsRead = 0;
    fault = (operation, { Key }) => {
      if (operation === 'GetObject' && String(Key).includes('/packs/') && ++packsRead === 3)
        environment.cancel();
    };
    await expect(inActivity(second.activities.copyToVolume, second.input, environment)).rejects.toThrow(
      'CANCELLED',
    );
    expect(await readdir(site.devices)).toEqual([]);
    expect(packsRead).toBeGreaterThanOrEqual(3);
    const result = await inActivity(second.activities.copyToVolume, second.input);
    expect(result.blocks).toBe(91);
    expect((await snapshotBytes(await publish(second))).equals(content)).toBe(true);
  }, 120_000);

  it('makes one volume, although the first try failed to wait for it', async () => {
    const { activities, input } = await begun(1, patternDisk([random(1)], SIZE));
    let volumes = 0;
    let broken = 0;
    fault = (operation) => {
      volumes += Number(operation === 'CreateVolume');
      if (operation === 'DescribeVolumes' && ++broken === 1)
        throw new AwsError('InternalError', 'Something broke.', 500);
    };
    const { availabilityZone } = site;
    expect(
      await retried(activities.createCopyVolume, { ...input, attempt: 2, availabilityZone }),
    ).toMatchObject({ tries: 2 });
    expect(volumes).toBe(1);
  });

  it('writes nothing where something else is in the place of the volume', async () => {
    const { activities, input } = await begun(1, patternDisk([random(1), random(2)], SIZE));
    const attach = (volumeId: string) => attachToProxy(site.proxy, { volumeId });
    const { path } = await inActivity(attach, input.volumeId);
    const other = join(site.directory, 'another disk');
    await writeFile(other, 'precious');
    await truncate(other, 2 ** 20);
    const before = await readFile(other);
    await rm(path);
    await symlink(other, path);
    await expect(inActivity(activities.copyToVolume, input)).rejects.toMatchObject({
      type: 'WrongDevice',
      nonRetryable: true,
      message: expect.stringContaining(
        `not the volume ${input.volumeId}: it has 1048576 bytes instead of 1073741824`,
      ),
    });
    expect((await readFile(other)).equals(before)).toBe(true);
  }, 120_000);

  it('writes nothing to a volume of another size than the disk needs', async () => {
    const { activities, input } = await begun(1, patternDisk([random(1)], SIZE));
    const disk = { ...input.disk, volumeGiB: 2 };
    await expect(inActivity(activities.copyToVolume, { ...input, disk })).rejects.toMatchObject({
      type: 'WrongVolume',
      nonRetryable: true,
    });
  }, 120_000);

  it('takes its volume by force from a host that does not let go of it', async () => {
    const { activities, input } = await begun(1, patternDisk([random(1)], SIZE));
    await inActivity((volumeId: string) => attachToProxy(site.proxy, { volumeId }), input.volumeId);
    let refusals = 0;
    fault = (operation, { Force }) => {
      if (operation !== 'DetachVolume' || Force === true) return;
      refusals++;
      throw new AwsError('IncorrectState', 'The host is hung.', 400);
    };
    await inActivity(activities.deleteVolume, { volumeId: input.volumeId });
    expect(refusals).toBeGreaterThan(0);
    const listed = site.ec2.send(new DescribeVolumesCommand({ VolumeIds: [input.volumeId] }));
    await expect(listed).rejects.toMatchObject({ name: 'InvalidVolume.NotFound' });
  }, 120_000);
});
