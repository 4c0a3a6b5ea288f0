import { createHash } from 'node:crypto';
import { open, readdir } from 'node:fs/promises';
import {
  AttachVolumeCommand,
  CreateVolumeCommand,
  DeleteVolumeCommand,
  DescribeVolumesCommand,
  DetachVolumeCommand,
  TerminateInstancesCommand,
} from '@aws-sdk/client-ec2';
import { type RecoveredVolume } from '../../activities/aws-proxy/launch/contract';
import { createDriverActivities } from '../../activities/aws-proxy/launch/activities';
import { hostLookup } from '../../activities/aws-proxy/launch/hosts';
import { instancesOfRun } from '../../activities/aws-proxy/launch/instances-of-run';
import { DATA_DEVICE_NAMES, DeviceNames } from '../../activities/aws-proxy/proxy-host/device-names';
import { GuestNotAdaptableError, type GuestAdapter, type RecoverySiteAdaptation } from '../../guest/port';
import { publishPlan } from '../../repository/plans/plans';
import { PROXY_AVAILABILITY_ZONE, PROXY_INSTANCE_ID } from '../../sandbox/aws/fixtures';
import { eventually } from '../support/eventually';
import { type FailoverSite, quietEnvironment, shopPlan } from '../support/failover-site';
import { type FailoverSteps, idsOf, openFailoverSteps } from '../support/failover-steps';

let steps: FailoverSteps;
let site: FailoverSite;
beforeAll(async () => {
  steps = await openFailoverSteps();
  ({ site } = steps);
});
afterAll(() => site.stop());
afterEach(() => {
  site.faults.length = 0;
});

describe('injectDrivers', () => {
  const deviceNames = new DeviceNames();
  const seen: RecoverySiteAdaptation[] = [];
  /** Stands in for the guest's side only; the volumes that it writes to are the endpoint's. */
  const adapter = (fail?: Error): GuestAdapter => ({
    async adaptForRecoverySite(adaptation) {
      seen.push(adaptation);
      const disk = await open(adaptation.diskPath, 'r+');
      await disk.write(Buffer.from('adapted'), 0, 7, 4096);
      await disk.close();
      if (fail) throw fail;
      return { family: 'test', kernels: [], modules: [], changed: [], warnings: [] };
    },
    revertForPrimarySite: () => Promise.reject(new Error('not asked for')),
  });
  const drivers = (guestAdapter: GuestAdapter) =>
    createDriverActivities({
      host: {
        ec2: steps.ec2,
        instanceId: PROXY_INSTANCE_ID,
        deviceNames,
        deviceDirectory: site.deviceDirectory,
        pollSeconds: 0.05,
      },
      guestAdapter,
      objectStore: () => site.store,
    });

  it('has the volumes on this host with the boot scripts, and lets go of them', async () => {
    const runId = 'drivers-run';
    const volumes = await steps.createVolumes(runId);
    const content = Buffer.from('#!/bin/sh\necho hello\n');
    const sha256 = createHash('sha256').update(content).digest('hex');
    const plan = shopPlan();
    plan.vms[0]!.bootScript = { name: 'first boot.sh', sha256 };
    await publishPlan(site.store, plan, [{ sha256, content }]);

    const input = {
      run: site.run(runId),
      vm: 'db',
      volumes,
      bootScripts: [{ name: 'first boot.sh', sha256 }],
      hosts: [{ address: '10.0.1.30', names: ['db.internal'] }],
    };
    await site.activity(drivers(adapter()).injectDrivers, input);
    const [adaptation] = seen;
    expect(adaptation).toMatchObject({
      runId,
      hosts: input.hosts,
      bootScripts: [{ name: 'first_boot.sh', content }],
      dataDisks: [{ slot: 1 }],
    });
    expect(adaptation?.diskPath).toContain(
      `nvme-Amazon_Elastic_Block_Store_vol${volumes[0]?.volumeId.slice(4)}`,
    );
    expect(await readdir(site.deviceDirectory)).toEqual([]);

    // What was written is on the volume, wherever it is attached next; also after a guest that cannot be adapted.
    const refusing = adapter(new GuestNotAdaptableError('The guest has no nvme module.'));
    await expect(site.activity(drivers(refusing).injectDrivers, input)).rejects.toMatchObject({
      type: 'GuestNotAdaptable',
      nonRetryable: true,
    });
    expect(await readdir(site.deviceDirectory)).toEqual([]);
    const { Volumes } = await steps.ec2.send(new DescribeVolumesCommand({ VolumeIds: idsOf(volumes) }));
    expect(Volumes?.map(({ State }) => State)).toEqual(['available', 'available']);

    const missing = { ...input, bootScripts: [{ name: 'x', sha256: 'f'.repeat(64) }] };
    await expect(site.activity(drivers(adapter()).injectDrivers, missing)).rejects.toMatchObject({
      type: 'DamagedObject',
    });
    await steps.removeRun(runId);
  });

  it('looks the addresses up of all that the VM depends on, in one list for all who ask at once', async () => {
    const runId = 'drivers-hosts';
    const volumes = await steps.createVolumes(runId);
    const plan = shopPlan();
    const [db] = plan.vms;
    delete db?.privateAddress;
    plan.vms = [
      {
        ...db!,
        name: 'db',
        primaryAddress: '192.168.10.100',
        hostNames: ['db.internal', 'sql.internal'],
        dependsOn: [],
      },
      {
        ...db!,
        name: 'app',
        primaryAddress: '192.168.10.101',
        hostNames: ['app.internal'],
        dependsOn: ['db'],
      },
      {
        ...db!,
        name: 'web',
        primaryAddress: '192.168.10.102',
        hostNames: ['web.internal'],
        dependsOn: ['app'],
      },
      { ...db!, name: 'report', primaryAddress: '192.168.10.103', hostNames: [], dependsOn: ['db'] },
    ];
    const { digest } = await publishPlan(site.store, plan, []);
    const run = { ...site.run(runId), digest };
    const { imageId } = await steps.shellImage(runId);
    const launch = async (vm: string, attempt = 1) => {
      const { instanceId } = await site.activity(steps.activities.launchShell, {
        ...steps.shellRequest(runId, imageId),
        ...{ vm, attempt },
      });
      return { instanceId, address: (await steps.describeInstance(instanceId)).PrivateIpAddress };
    };
    const input = { run, vm: 'web', volumes, bootScripts: [] };
    const injected = drivers(adapter());
    await launch('app');
    await expect(site.activity(injected.injectDrivers, input)).rejects.toMatchObject({
      message: expect.stringMatching(/web depends on db, of which no instance of this run is listed/),
      type: 'WrongState',
      nonRetryable: false,
    });
    // Of another run, and one that EC2 took away and whose successor stands: neither is where db is.
    const gone = await launch('db');
    await steps.ec2.send(new TerminateInstancesCommand({ InstanceIds: [gone.instanceId] }));
    const present = await launch('db', 2);
    const app = (await launch('app', 2)).address;
    seen.length = 0;
    await site.activity(injected.injectDrivers, input);
    expect(seen[0]?.hosts).toEqual([
      { address: present.address, names: ['db.internal', 'sql.internal'] },
      { address: app, names: ['app.internal'] },
    ]);

    // A VM that is left out is at an address that is nobody's, in its place among the others.
    seen.length = 0;
    await site.activity(injected.injectDrivers, { ...input, without: ['db'] });
    expect(seen[0]?.hosts).toEqual([
      { address: '192.0.2.1', names: ['db.internal', 'sql.internal'] },
      { address: app, names: ['app.internal'] },
    ]);

    const lookUp = hostLookup(instancesOfRun(steps.ec2), () => site.store);
    const before = site.calls.length;
    const found = await Promise.all(Array.from({ length: 50 }, () => lookUp(run, 'report')));
    expect(new Set(found.map((hosts) => JSON.stringify(hosts)))).toEqual(
      new Set([JSON.stringify([{ address: present.address, names: ['db.internal', 'sql.internal'] }])]),
    );
    // Those who asked while the first list was on its way share a second one.
    const lists = site.calls.slice(before).filter(({ operation }) => operation === 'DescribeInstances');
    expect(lists.length).toBeLessThanOrEqual(2);
    expect(await lookUp(run, 'db')).toEqual([]);

    // What the plan fixes need not be listed. In a test, a VM that is nowhere by the plan is itself all the same.
    const names = ['db.internal', 'sql.internal'];
    Object.assign(plan.vms[0]!, { privateAddress: '10.0.1.30' });
    const alone = { ...run, digest: (await publishPlan(site.store, plan, [])).digest };
    expect(await lookUp(alone, 'db', false)).toEqual([{ address: '10.0.1.30', names, self: true }]);
    expect(await lookUp(alone, 'db', true)).toEqual([{ address: '127.0.1.1', names, self: true }]);
    // A run of a release that knew none of it.
    expect(await lookUp(alone, 'db')).toEqual([]);
    Object.assign(plan.vms[0]!, { recoverySite: { test: { privateAddress: '10.0.2.30' } } });
    Object.assign(plan.vms[3]!, { dependsOn: [], peers: ['db'] });
    const cluster = { ...run, digest: (await publishPlan(site.store, plan, [])).digest };
    expect(await lookUp(cluster, 'report', false)).toEqual([{ address: '10.0.1.30', names }]);
    expect(await lookUp(cluster, 'report', true)).toEqual([{ address: '10.0.2.30', names }]);
    await steps.removeRun(runId);
  });

  it('detaches although the activity was cancelled meanwhile', async () => {
    const runId = 'drivers-cancelled';
    const volumes = await steps.createVolumes(runId);
    const environment = quietEnvironment();
    const cancelling = adapter();
    const slow: GuestAdapter = {
      ...cancelling,
      async adaptForRecoverySite(adaptation) {
        environment.cancel();
        return cancelling.adaptForRecoverySite(adaptation);
      },
    };
    // Cancelled once while the guest is being adapted, once while the first volume is being attached.
    await environment.run(drivers(slow).injectDrivers, {
      run: site.run(runId),
      vm: 'db',
      volumes,
      bootScripts: [],
      hosts: [],
    });
    expect(await readdir(site.deviceDirectory)).toEqual([]);
    const early = quietEnvironment();
    const attach = site.calls.length;
    const watch = setInterval(() => {
      if (site.calls.slice(attach).some(({ operation }) => operation === 'AttachVolume')) early.cancel();
    }, 1);
    const input = { run: site.run(runId), vm: 'db', volumes, bootScripts: [], hosts: [] };
    await expect(early.run(drivers(adapter()).injectDrivers, input)).rejects.toMatchObject({
      name: 'CancelledFailure',
    });
    clearInterval(watch);
    expect(await readdir(site.deviceDirectory)).toEqual([]);
    await steps.removeRun(runId);
  });

  describe('of many VMs at once', () => {
    const volumeIds: string[] = [];
    afterEach(async () => {
      for (const VolumeId of volumeIds.splice(0)) await steps.ec2.send(new DeleteVolumeCommand({ VolumeId }));
    });

    async function newVolume(): Promise<string> {
      const { VolumeId = '' } = await steps.ec2.send(
        new CreateVolumeCommand({ Size: 1, AvailabilityZone: PROXY_AVAILABILITY_ZONE }),
      );
      volumeIds.push(VolumeId);
      await stateOf(VolumeId, 'available');
      return VolumeId;
    }

    const stateOf = (volumeId: string, state: string): Promise<true> =>
      eventually(
        10,
        async () => {
          const { Volumes } = await steps.ec2.send(new DescribeVolumesCommand({ VolumeIds: [volumeId] }));
          return Volumes?.[0]?.State === state ? true : undefined;
        },
        0.05,
      );

    async function disksOf(n: number): Promise<RecoveredVolume[]> {
      const made: RecoveredVolume[] = [];
      for (let slot = 0; slot < n; slot++)
        made.push({
          volumeId: await newVolume(),
          key: `disk${slot}`,
          sizeBytes: 2 ** 30,
          slot,
          boot: slot === 0,
        });
      return made;
    }

    const request = (volumes: RecoveredVolume[]) => ({
      run: site.run('drivers-many'),
      vm: 'db',
      volumes,
      bootScripts: [],
      hosts: [],
    });
    const attachCalls = () =>
      site.calls.flatMap(({ operation, input }) =>
        operation === 'AttachVolume' ? [String(input.Device)] : [],
      );

    it('gives each task its names one after another: none is refused, none waits forever', async () => {
      const { ec2 } = steps;
      const InstanceId = PROXY_INSTANCE_ID;
      const persons = await newVolume();
      await ec2.send(new AttachVolumeCommand({ VolumeId: persons, InstanceId, Device: '/dev/sdh' }));
      await stateOf(persons, 'in-use');
      const vms: RecoveredVolume[][] = [];
      for (let vm = 0; vm < 8; vm++) vms.push(await disksOf(3));

      // Twenty names are left, for six VMs at a time: these stay until they are all here.
      let inside = 0;
      let most = 0;
      let full: () => void;
      const sixAreHere = new Promise<void>((resolve) => (full = resolve));
      const meeting: GuestAdapter = {
        ...adapter(),
        async adaptForRecoverySite(adaptation) {
          inside++;
          most = Math.max(most, inside);
          if (inside === 6) full();
          await sixAreHere;
          const adapted = await adapter().adaptForRecoverySite(adaptation);
          inside--;
          return adapted;
        },
      };
      site.calls.length = 0;
      const activity = drivers(meeting).injectDrivers;
      // One that is refused ends the meeting, and the others still detach.
      const outcomes = await Promise.allSettled(
        vms.map((volumes) => site.activity(activity, request(volumes)).finally(() => full())),
      );
      expect(outcomes.filter(({ status }) => status === 'rejected')).toEqual([]);
      expect(most).toBe(6);
      // One call a volume: none was refused.
      expect(attachCalls()).toHaveLength(24);
      expect(attachCalls()).not.toContain('/dev/sdh');
      const { Volumes } = await ec2.send(new DescribeVolumesCommand({ VolumeIds: [persons] }));
      expect(Volumes?.[0]?.Attachments).toMatchObject([{ Device: '/dev/sdh', State: 'attached' }]);
      await ec2.send(new DetachVolumeCommand({ VolumeId: persons }));
      await stateOf(persons, 'available');
    }, 60_000);

    it('waits for names until it is cancelled, and has attached nothing then', async () => {
      const everyName = DATA_DEVICE_NAMES.map((_, n) => `vol-${n}`);
      const claim = await site.activity(() => deviceNames.claim(everyName, async () => []), undefined);
      const volumes = await disksOf(1);
      const environment = quietEnvironment();
      site.calls.length = 0;
      const waiting = environment.run(drivers(adapter()).injectDrivers, request(volumes));
      const outcome = expect(waiting).rejects.toMatchObject({ name: 'CancelledFailure' });
      const looks = () => site.calls.filter(({ operation }) => operation === 'DescribeInstances').length;
      await eventually(10, async () => (looks() > 1 ? true : undefined), 0.05);
      environment.cancel();
      await outcome;
      expect(attachCalls()).toEqual([]);
      claim.release();
      await site.activity(drivers(adapter()).injectDrivers, request(volumes));
      expect(attachCalls()).toEqual([DATA_DEVICE_NAMES[0]]);
    }, 60_000);

    it('takes another name where somebody else was quicker', async () => {
      site.faults.push({
        operation: 'AttachVolume',
        times: 2,
        code: 'InvalidParameterValue',
        message: 'Invalid value for unixDevice. Attachment point is already in use',
      });
      site.calls.length = 0;
      await site.activity(drivers(adapter()).injectDrivers, request(await disksOf(2)));
      expect(attachCalls()).toEqual(['/dev/sdf', '/dev/sdh', '/dev/sdi', '/dev/sdg']);
    }, 60_000);
  });
});
