import { CreateSnapshotCommand, CreateVolumeCommand, DescribeSnapshotsCommand } from '@aws-sdk/client-ec2';
import { open, readFile } from 'node:fs/promises';
import { attachToProxy } from '../../activities/aws-proxy/proxy-host/attachment';
import { BLOCK_SIZE } from '../../blocks/port';
import { type ReplicationLimit } from '../../plan/replication-limit';
import { readManifest } from '../../repository/backups/backups';
import { AwsError } from '../../sandbox/aws/wire/errors';
import { patternDisk, type Pattern } from '../support/synthetic-disk';
import { VirtualClock } from '../support/virtual-clock';
import { idOf } from './copy-backup';
import { type CopySite, inActivity, newEnvironment, startCopySite, VM } from './copy-site';

/** Copies under a limit, in a time that goes forward by nothing but the waits for it. */

/** 21:59:50 in UTC: a window that opens at 22:00 opens after ten seconds. */
const BEGIN = Date.UTC(2026, 10, 23, 21, 59, 50);
const noise = (blocks: number): Pattern[] =>
  Array.from({ length: blocks }, (_, n) => ({ random: String(n) }));

let site: CopySite;
let clock: VirtualClock;
let fault: (operation: string) => void;

beforeEach(async () => {
  fault = () => undefined;
  clock = new VirtualClock(BEGIN);
  site = await startCopySite((call, handle) => {
    fault(call.operation);
    return handle();
  }, clock);
});
afterEach(() => site.close());

const seconds = (): number => (clock.now() - BEGIN) / 1000;

async function backUp(n: number, limit: ReplicationLimit | undefined, environment = newEnvironment()) {
  const [run, backupId] = [site.run, idOf(n)];
  const activities = site.activities();
  const snapshot = await inActivity(activities.snapshotVm, { run, vm: VM, backupId });
  const copied = await Promise.all(
    snapshot.configuration.disks.map(async ({ key }) => ({
      key,
      ...(await inActivity(
        activities.backupDisk,
        { run, vm: VM, backupId, diskKey: key, limit },
        environment,
      )),
    })),
  );
  return inActivity(activities.finishBackup, { run, vm: VM, backupId, ...snapshot, disks: copied });
}

it('sends what the disks of a plan come to, stored, in as long as the limit takes', async () => {
  // 80 blocks that cannot be compressed, and as many that can.
  site.hypervisor.setDisk('system', patternDisk(noise(80)));
  site.hypervisor.setDisk(
    'data',
    patternDisk(Array.from({ length: 80 }, (_, n) => ({ text: `text ${n} ` }))),
  );
  await backUp(1, { mbitPerSecond: 40, timeZone: 'UTC' });
  const stored = (await readManifest(site.store, VM, idOf(1)))!.disks.map(({ storedBytes }) => storedBytes);
  expect(stored[1]).toBeLessThan(BLOCK_SIZE);
  const least = (stored[0]! + stored[1]!) / 5_000_000;
  // The first tenth of a second is for nothing; the maps and their pages take some KiB.
  expect(seconds()).toBeGreaterThan(least - 0.15);
  expect(seconds()).toBeLessThan(least + 0.15);
}, 60_000);

it('goes faster when the window opens, while the copy is under way', async () => {
  site.hypervisor.setDisk('system', patternDisk(noise(80)));
  const night = { between: '22:00-06:00', timeZone: 'UTC' };
  await backUp(1, { ...night, mbitPerSecond: 80, mbitPerSecondOutside: 16 });
  // 42 MB: ten seconds at 2 MB/s before ten o'clock, and the rest at 10 MB/s.
  const bytes = (await readManifest(site.store, VM, idOf(1)))!.disks[0]!.storedBytes;
  expect(seconds()).toBeGreaterThan(10 + (bytes - 20_000_000) / 10_000_000 - 0.3);
  expect(seconds()).toBeLessThan(10 + (bytes - 20_000_000) / 10_000_000 + 0.3);
}, 60_000);

it('waits for nothing without a limit, and is told of refusals as ever', async () => {
  site.hypervisor.setDisk('system', patternDisk(noise(10)));
  await backUp(1, undefined);
  expect(seconds()).toBe(0);

  const limit = { mbitPerSecond: 8, timeZone: 'UTC' };
  site.hypervisor.setDisk('system', patternDisk(noise(20).slice(10)));
  // Of a pack; what comes before it is a pin.
  let puts = 0;
  fault = (operation) => {
    if (operation === 'PutObject' && ++puts > 1) throw new AwsError('AccessDenied', 'Not today.', 403);
  };
  await expect(backUp(2, limit)).rejects.toThrow('Not today (AccessDenied)');
  // A moment's trouble is waited out, and what is sent again counts again.
  let slow = 0;
  fault = (operation) => {
    if (operation === 'PutObject' && ++slow === 2) throw new AwsError('SlowDown', 'Slow down.', 503);
  };
  expect(await backUp(3, limit)).toMatchObject({ disks: [{ blocks: 10 }] });
  expect(slow).toBeGreaterThan(2);
}, 60_000);

it('ends at once when it is cancelled while it waits', async () => {
  site.hypervisor.setDisk('system', patternDisk(noise(40)));
  const environment = newEnvironment();
  const { sleep } = clock;
  clock.sleep = async function (this: VirtualClock, milliseconds, signal) {
    if (this.now() - BEGIN > 5000) {
      environment.cancel('CANCELLED');
      await new Promise((_resolve, reject) => {
        if (signal.aborted) reject(signal.reason as Error);
        signal.addEventListener('abort', () => reject(signal.reason as Error));
      });
    }
    await sleep.call(this, milliseconds, signal);
  };
  await expect(backUp(1, { mbitPerSecond: 8, timeZone: 'UTC' }, environment)).rejects.toThrow(/CANCELLED/);
  clock.sleep = sleep;
  // And goes on where it was.
  expect(await backUp(1, { mbitPerSecond: 8, timeZone: 'UTC' })).toMatchObject({ disks: [{ blocks: 40 }] });
}, 60_000);

it("keeps a failback's reads to it, of blocks that are there", async () => {
  const size = 64 * BLOCK_SIZE;
  const { ec2 } = site;
  const content = patternDisk(noise(40).concat(Array.from({ length: 24 }, () => 'zero' as const)));
  const { VolumeId = '' } = await ec2.send(
    new CreateVolumeCommand({ Size: 1, AvailabilityZone: site.availabilityZone }),
  );
  const attach = (volumeId: string) => attachToProxy(site.proxy, { volumeId });
  const { path } = await inActivity(attach, VolumeId);
  const file = await open(path, 'r+');
  await file.write(content.subarray(0, 40 * BLOCK_SIZE));
  await file.sync();
  await file.close();
  const { SnapshotId = '' } = await ec2.send(new CreateSnapshotCommand({ VolumeId }));
  for (let state = ''; state !== 'completed';) {
    const { Snapshots } = await ec2.send(new DescribeSnapshotsCommand({ SnapshotIds: [SnapshotId] }));
    state = Snapshots?.[0]?.State ?? '';
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  const home = await site.hypervisor.emptyDisk('system', size);
  const disk = { key: 'system', slot: 0, boot: true, sizeBytes: size };
  const limit = { mbitPerSecond: 40, timeZone: 'UTC' };
  const { copySnapshotToDisk } = site.activities();
  await inActivity(copySnapshotToDisk, { run: site.run, vm: VM, disk, snapshotId: SnapshotId, limit });
  expect((await readFile(home)).equals(content)).toBe(true);
  const least = (40 * BLOCK_SIZE) / 5_000_000;
  expect(seconds()).toBeGreaterThan(least - 0.25);
  expect(seconds()).toBeLessThanOrEqual(least);
}, 60_000);
