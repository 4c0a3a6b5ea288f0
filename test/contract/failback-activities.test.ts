import { CompleteSnapshotCommand, PutSnapshotBlockCommand, StartSnapshotCommand } from '@aws-sdk/client-ebs';
import {
  AttachVolumeCommand,
  CreateSnapshotsCommand,
  CreateTagsCommand,
  CreateVolumeCommand,
  DescribeSnapshotsCommand,
  DescribeVolumesCommand,
} from '@aws-sdk/client-ec2';
import { createHash } from 'node:crypto';
import { createFailbackActivities } from '../../activities/aws-proxy/failback/activities';
import { createLaunchActivities } from '../../activities/aws-proxy/launch/activities';
import { type DrCopy } from '../../activities/aws-proxy/account/contract';
import { type DrCopySet, findDrCopy, withConfiguration } from '../../activities/aws-proxy/account/dr-copy';
import { findSnapshots } from '../../activities/aws-proxy/account/snapshots';
import { tagList } from '../../activities/aws-proxy/account/tags';
import { dialer } from '../../activities/dial';
import { BLOCK_SIZE } from '../../blocks/port';
import { type DiskConfiguration } from '../../hypervisor/port';
import {
  PRODUCTION_SECURITY_GROUP_ID,
  PRODUCTION_SUBNET_ID,
  PROXY_AVAILABILITY_ZONE,
} from '../../sandbox/aws/fixtures';
import { waitUntilCompleted } from '../support/failover-listing';
import { type FailoverSite, publishDrCopy, shopPlan, startFailoverSite } from '../support/failover-site';
import { failureOf, runActivity } from './run-activity';

/** One that ends in the middle of a block, and one that fills its volume; in one slot of two controllers. */
const DISKS: DiskConfiguration[] = [
  {
    ...{ key: 'system', sizeBytes: 700 * 2 ** 20 + 512, boot: true },
    ...{ slot: 0, controller: { kind: 'lsisas', bus: 0 } },
  },
  { key: 'data', sizeBytes: 2 ** 30, slot: 0, controller: { kind: 'pvscsi', bus: 1 }, boot: false },
];

// Instances are launched, and gibibytes of blocks compared, by an endpoint in this process.
jest.setTimeout(90_000);

let site: FailoverSite;
let failover: ReturnType<typeof createLaunchActivities>;
let failback: ReturnType<typeof createFailbackActivities>;
let drCopy: DrCopy;

beforeAll(async () => {
  site = await startFailoverSite();
  const dependencies = { objectStore: () => site.store, pollSeconds: 0.05 };
  failover = createLaunchActivities({ ...dependencies, ...site.clients, dial: dialer([]) });
  failback = createFailbackActivities({ ...dependencies, ...site.clients });
  await publishDrCopy(site, 'db', DISKS);
  let found: DrCopySet | undefined;
  while (found === undefined) found = await findDrCopy(site.clients.ec2, 'shop', 'db');
  drCopy = await withConfiguration(site.store, found);
});
afterAll(() => site.stop());
afterEach(() => {
  site.faults.length = 0;
});

/** The DR copy's snapshot of a disk. */
const copyOf = (key: string) => drCopy.disks.find((disk) => disk.key === key)?.snapshotId;

/** A VM failed over: an instance that runs, its disks in place of its shell's root. */
async function recover(runId: string, attempt = 1) {
  const names = { run: site.run(runId), vm: 'db', attempt };
  const { imageId } = await runActivity(failover.ensureShellImage, { run: names.run, firmware: 'bios' });
  const volumes = await runActivity(failover.createVolumes, {
    ...names,
    drCopy,
    availabilityZone: PROXY_AVAILABILITY_ZONE,
    test: false,
  });
  const { instanceId } = await runActivity(failover.launchShell, {
    ...names,
    imageId,
    instanceType: 'm6i.large',
    subnet: PRODUCTION_SUBNET_ID,
    securityGroups: [PRODUCTION_SECURITY_GROUP_ID],
    publicAddress: false,
    recoveryPoint: drCopy.recoveryPoint,
    test: false,
  });
  const instance = { run: names.run, vm: 'db', instanceId, volumes };
  await runActivity(failover.attachVolumes, instance);
  await runActivity(failover.startInstance, { ...instance, instanceType: 'm6i.large' });
  return instance;
}

const remove = (runId: string) => runActivity(failover.removeRecoveryResources, { run: site.run(runId) });
const read = (plan = shopPlan()) => runActivity(failback.readInstances, { run: site.run('home'), plan });

describe('reading the instances', () => {
  it('gives hardware as EC2 has it, disks to the byte, and what the VM had before', async () => {
    const { instanceId, volumes } = await recover('read-a');
    expect(await read()).toEqual([
      {
        vm: 'db',
        instanceId,
        instanceType: 'm6i.large',
        cpus: 2,
        memoryMiB: 8192,
        firmware: 'bios',
        original: { cpus: 2, memoryMiB: 1024, firmware: 'bios', nics: [], guestOs: 'debian12_64Guest' },
        disks: volumes.map((volume) => ({ ...volume, copySnapshotId: copyOf(volume.key) })),
        recoveryPoint: drCopy.recoveryPoint,
        recoveredAt: expect.any(String) as string,
      },
    ]);
    expect(drCopy.disks).toMatchObject(DISKS);
    expect(volumes).toMatchObject(DISKS);
    await remove('read-a');
  });

  it('takes the newest failover, also where an older one left an instance', async () => {
    const older = await recover('read-old');
    const newer = await recover('read-new');
    // Somebody starts the forgotten one again: its launch time is the later one now.
    await runActivity(failover.stopInstance, older);
    await runActivity(failover.startInstance, { ...older, instanceType: 'm6i.large' });
    expect(await read()).toMatchObject([{ instanceId: newer.instanceId }]);
    await remove('read-old');
    await remove('read-new');
  });

  it('names the copy of a chosen recovery point, of its own run only, as that is what its volumes were made from', async () => {
    const { run } = await recover('read-point');
    const of = async (runId: string): Promise<string[]> => {
      const made: string[] = [];
      for (const { Tags = [], VolumeSize } of await findSnapshots(site.clients.ec2, { role: 'dr-copy' })) {
        const values = { run: runId, role: 'point-copy' } as const;
        const { SnapshotId = '' } = await site.clients.ebs.send(
          new StartSnapshotCommand({
            VolumeSize,
            Tags: [...Tags.filter(({ Key }) => !/:(run|role)$/.test(Key ?? '')), ...tagList(values)],
          }),
        );
        await site.clients.ebs.send(new CompleteSnapshotCommand({ SnapshotId, ChangedBlocksCount: 0 }));
        made.push(SnapshotId);
      }
      return made;
    };
    const named = async () => (await read())[0]?.disks.map(({ copySnapshotId }) => copySnapshotId).sort();
    await of('of-a-test');
    expect(await named()).toEqual(DISKS.map(({ key }) => copyOf(key)).sort());
    const chosen = await of(run.runId);
    await waitUntilCompleted(site.clients.ec2, chosen);
    expect(await named()).toEqual(chosen.sort());
    await remove('read-point');
  });

  it('refuses where a VM of the plan has no instance', async () => {
    await recover('read-missing');
    const plan = shopPlan();
    plan.vms.push({ ...plan.vms[0]!, name: 'web' });
    const refused = await failureOf(read(plan));
    expect(refused).toMatchObject({ type: 'NotReadyForFailback', nonRetryable: true });
    expect(refused.message).toContain('no instance of web');
    await remove('read-missing');
    expect((await failureOf(read())).message).toContain('no instance of db');
  });

  it('refuses where data would stay behind, or tags tell something else than the backup', async () => {
    const { instanceId, volumes } = await recover('read-odd');
    const { VolumeId } = await site.clients.ec2.send(
      new CreateVolumeCommand({ AvailabilityZone: PROXY_AVAILABILITY_ZONE, Size: 1 }),
    );
    await untilAvailable(VolumeId!);
    await site.clients.ec2.send(
      new AttachVolumeCommand({ InstanceId: instanceId, VolumeId, Device: '/dev/sdp' }),
    );
    const extra = await failureOf(read());
    expect(extra).toMatchObject({ type: 'NotReadyForFailback', nonRetryable: true });
    expect(extra.message).toContain(VolumeId);

    await site.clients.ec2.send(
      new CreateTagsCommand({ Resources: [volumes[1]!.volumeId], Tags: tagList({ sizeBytes: 512 }) }),
    );
    const shrunk = await failureOf(read());
    expect(shrunk.message).toContain(volumes[1]!.volumeId);
    expect(shrunk.message).toContain('no volume for the disk data');
    await remove('read-odd');
  });
});

async function untilAvailable(volumeId: string): Promise<void> {
  for (;;) {
    const { Volumes } = await site.clients.ec2.send(new DescribeVolumesCommand({ VolumeIds: [volumeId] }));
    if (Volumes?.[0]?.State === 'available') return;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

describe('snapshots of an instance', () => {
  const snapshotsOf = (runId: string, pass?: 1 | 2) =>
    findSnapshots(site.clients.ec2, { run: runId, role: 'failback', pass });
  const callsOf = (operation: string) => site.calls.filter((call) => call.operation === operation).length;

  it('are taken of all disks, once a pass, and tell their disks by their volumes', async () => {
    const { instanceId, volumes, run } = await recover('snap-a');
    const input = { run, vm: 'db', instanceId, pass: 1 as const };
    const taken = await runActivity(failback.snapshotInstance, input);
    expect(taken.map(({ diskKey }) => diskKey).sort()).toEqual(['data', 'system']);
    const { Snapshots } = await site.clients.ec2.send(
      new DescribeSnapshotsCommand({ SnapshotIds: taken.map(({ snapshotId }) => snapshotId) }),
    );
    for (const { SnapshotId, VolumeId, State } of Snapshots ?? []) {
      const { diskKey } = taken.find(({ snapshotId }) => snapshotId === SnapshotId)!;
      expect({ VolumeId, State }).toEqual({
        VolumeId: volumes.find(({ key }) => key === diskKey)?.volumeId,
        State: 'completed',
      });
    }
    const sorted = (snapshots: typeof taken) =>
      [...snapshots].sort((a, b) => (a.diskKey < b.diskKey ? -1 : 1));
    expect(sorted(await runActivity(failback.snapshotInstance, input))).toEqual(sorted(taken));

    const early = await failureOf(runActivity(failback.snapshotInstance, { ...input, pass: 2 }));
    expect(early).toMatchObject({ type: 'WrongState', nonRetryable: false });
    await runActivity(failover.stopInstance, input);
    const second = await runActivity(failback.snapshotInstance, { ...input, pass: 2 });
    expect(second.map(({ snapshotId }) => snapshotId)).not.toEqual(
      expect.arrayContaining(taken.map(({ snapshotId }) => snapshotId)),
    );
    expect(await snapshotsOf(run.runId)).toHaveLength(4);

    const { deleted } = await runActivity(failback.deleteFailbackSnapshots, { run, vm: 'db' });
    expect(deleted).toEqual([...taken, ...second].map(({ snapshotId }) => snapshotId).sort());
    expect(await snapshotsOf(run.runId)).toEqual([]);
    expect(await runActivity(failback.deleteFailbackSnapshots, { run })).toEqual({ deleted: [] });
    await remove('snap-a');
  });

  it('are found again by a retry whose forerunner never heard of them', async () => {
    const { instanceId, run } = await recover('snap-lost');
    const input = { run, vm: 'db', instanceId, pass: 1 as const };
    site.faults.push({ operation: 'CreateSnapshots', times: 1, code: 'InternalError', carriedOut: true });
    expect(await failureOf(runActivity(failback.snapshotInstance, input))).toMatchObject({
      nonRetryable: false,
    });
    const before = callsOf('CreateSnapshots');
    const taken = await runActivity(failback.snapshotInstance, input, 2);
    expect(callsOf('CreateSnapshots')).toBe(before);
    expect((await snapshotsOf(run.runId)).map(({ SnapshotId }) => SnapshotId).sort()).toEqual(
      taken.map(({ snapshotId }) => snapshotId).sort(),
    );
    await remove('snap-lost');
  });

  it('are taken by a retry whose forerunner made none', async () => {
    const { instanceId, run } = await recover('snap-none');
    const input = { run, vm: 'db', instanceId, pass: 1 as const };
    site.faults.push({ operation: 'CreateSnapshots', times: 1, code: 'InternalError' });
    await failureOf(runActivity(failback.snapshotInstance, input));
    expect(await runActivity(failback.snapshotInstance, input, 2)).toHaveLength(2);
    await remove('snap-none');
  });

  it('are one set in the end where two came to be: the older one', async () => {
    const { instanceId, run } = await recover('snap-two');
    const tagged = (set: string) => ({
      InstanceSpecification: { InstanceId: instanceId },
      TagSpecifications: [
        {
          ResourceType: 'snapshot' as const,
          Tags: tagList({ plan: 'shop', run: run.runId, vm: 'db', role: 'failback', pass: 1, set }),
        },
      ],
    });
    // Named so that their names alone would choose the other one.
    const older = await site.clients.ec2.send(new CreateSnapshotsCommand(tagged('z-older')));
    await new Promise((resolve) => setTimeout(resolve, 20));
    await site.clients.ec2.send(new CreateSnapshotsCommand(tagged('a-newer')));
    const taken = await runActivity(failback.snapshotInstance, { run, vm: 'db', instanceId, pass: 1 });
    const expected = older.Snapshots?.map(({ SnapshotId }) => SnapshotId).sort();
    expect(taken.map(({ snapshotId }) => snapshotId).sort()).toEqual(expected);
    expect((await snapshotsOf(run.runId)).map(({ SnapshotId }) => SnapshotId).sort()).toEqual(expected);
    await remove('snap-two');
  });
});

describe("the disk's end", () => {
  const GIB = 2 ** 30;
  const disk = DISKS[0]!;
  const endBlock = Math.floor(disk.sizeBytes / BLOCK_SIZE);

  async function snapshotWith(blocks: Record<number, Buffer>): Promise<string> {
    const { SnapshotId } = await site.clients.ebs.send(new StartSnapshotCommand({ VolumeSize: 1 }));
    for (const [index, BlockData] of Object.entries(blocks))
      await site.clients.ebs.send(
        new PutSnapshotBlockCommand({
          SnapshotId,
          BlockIndex: Number(index),
          BlockData,
          DataLength: BLOCK_SIZE,
          Checksum: createHash('sha256').update(BlockData).digest('base64'),
          ChecksumAlgorithm: 'SHA256',
        }),
      );
    const ChangedBlocksCount = Object.keys(blocks).length;
    await site.clients.ebs.send(new CompleteSnapshotCommand({ SnapshotId, ChangedBlocksCount }));
    for (;;) {
      const { Snapshots } = await site.clients.ec2.send(
        new DescribeSnapshotsCommand({ SnapshotIds: [SnapshotId!] }),
      );
      if (Snapshots?.[0]?.State === 'completed') return SnapshotId!;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
  const block = (...at: number[]): Buffer => {
    const bytes = Buffer.alloc(BLOCK_SIZE);
    for (const offset of at) bytes[offset] = 1;
    return bytes;
  };
  const check = (snapshotId: string, of = disk) =>
    runActivity(failback.checkDiskFits, { snapshotId, disk: of } as Parameters<
      typeof failback.checkDiskFits
    >[0]);

  it('is fine where the last byte of the disk is data and nothing comes after it', async () => {
    const zeros = block();
    const snapshotId = await snapshotWith({
      0: block(0),
      [endBlock]: block(0, 511),
      [endBlock + 1]: zeros,
      2047: zeros,
    });
    await check(snapshotId);
  });

  it.each([
    ['the first byte after it', { [endBlock]: block(511, 512) }, disk.sizeBytes],
    ['the end of its last block', { [endBlock]: block(BLOCK_SIZE - 1) }, (endBlock + 1) * BLOCK_SIZE - 1],
    ['the last byte of the volume', { 0: block(0), 2047: block(BLOCK_SIZE - 1) }, GIB - 1],
  ])('is overrun by data at %s', async (_where, blocks, offset) => {
    const failure = await failureOf(check(await snapshotWith(blocks)));
    expect(failure).toMatchObject({ type: 'DataBeyondDisk', nonRetryable: true });
    expect(failure.message).toContain(`at byte ${offset};`);
  });

  it('is looked for exactly where a disk is whole blocks long', async () => {
    const whole = { ...disk, sizeBytes: 100 * BLOCK_SIZE };
    await check(await snapshotWith({ 99: block(BLOCK_SIZE - 1) }), whole);
    expect(await failureOf(check(await snapshotWith({ 100: block(0) }), whole))).toMatchObject({
      type: 'DataBeyondDisk',
    });
  });

  it('has nothing after it where the disk fills the volume', async () => {
    await check(await snapshotWith({ 2047: block(BLOCK_SIZE - 1) }), { ...disk, sizeBytes: GIB });
  });

  it('is missed where the volume is too small for the disk', async () => {
    const large = { ...disk, sizeBytes: GIB + 512 };
    expect(await failureOf(check(await snapshotWith({}), large))).toMatchObject({ type: 'DataBeyondDisk' });
  });
});
