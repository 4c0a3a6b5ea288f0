import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { copyFileSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  DescribeImagesCommand,
  DescribeInstanceAttributeCommand,
  DescribeInstancesCommand,
} from '@aws-sdk/client-ec2';
import { tagFilters } from '../../activities/aws-proxy/account/tags';
import { findDrCopy, withConfiguration } from '../../activities/aws-proxy/account/dr-copy';
import {
  findLaunchSnapshots,
  launchCopyDigest,
  launchCopyOf,
} from '../../activities/aws-proxy/account/launch-copy';
import { createLaunchActivities } from '../../activities/aws-proxy/launch/activities';
import { createLaunchCopyActivities } from '../../activities/aws-proxy/restore/launch-copy';
import { dialer } from '../../activities/dial';
import { guestAdapter } from '../../guest/adapter';
import { HiveReader } from '../../guest/windows/hive/reader';
import { LAUNCH_DATA, LAUNCH_READER_SCRIPT } from '../../guest/windows/launch-reader';
import { type RunContext } from '../../plan/run';
import { type DrPlan } from '../../plan/schema';
import { publishPlan } from '../../repository/plans/plans';
import { takePlanState } from '../../repository/plans/plan-state';
import { PRODUCTION_SECURITY_GROUP_ID, PRODUCTION_SUBNET_ID } from '../../sandbox/aws/fixtures';
import { directory, onDisks, removeDisks } from '../unit/appliance-fixture';
import { GOOD_PLAN, planOf } from '../unit/plan-file';
import {
  allFiles,
  dump,
  fileOn,
  HOSTS,
  isSound,
  makeWindowsDisk,
  MBR,
  mounted,
  SERVICES,
  STATE,
  SYSTEM,
  volumeOf,
} from '../unit/windows-fixture';
import { backUp, idOf } from './copy-backup';
import { restore, runNumber, snapshotBytes } from './copy-restore';
import { type CopySite, inActivity, newEnvironment, startCopySite, VM } from './copy-site';

/** A guest of Windows from its backup to the call that launches it. Each appliance is a machine that boots; an adaptation is one. */
jest.setTimeout(300_000);

const SCRIPT = Buffer.from('Write-Output hello\r\n');
const CLUSTER = GOOD_PLAN.replace('frequency: 15m', 'frequency: 15m\n  launchCopy: true')
  .replace(
    '    hostNames: [db.shop.example]',
    '    hostNames: [db.shop.example]\n    peers: [web]\n    privateAddress: 10.0.1.30\n    recoverySite: { test: { privateAddress: 10.0.2.30 } }',
  )
  .replace(
    '    dependsOn: [db]',
    '    hostNames: [web.shop.example]\n    privateAddress: 10.0.1.31\n    recoverySite: { test: { privateAddress: 10.0.2.31 } }',
  );
/** One boots more machines than the tests of every day may. */
const long = process.env.LIFEBOAT_LONG_TESTS === '1';
const python = process.env.LIFEBOAT_PYTHON;

let site: CopySite;
let plan: DrPlan;
let run: RunContext;
/** The VM's disk at home, and in its launch copy. */
let home: string;
let launchCopy: { path: string; snapshotId: string };

/** The plan's database has a boot script for Windows, which the file of the plan's tests has none of. */
async function windowsPlan() {
  const loaded = await planOf(CLUSTER);
  const reference = { name: 'db.ps1', sha256: createHash('sha256').update(SCRIPT).digest('hex') };
  const [db, web] = loaded.plan.vms;
  return {
    plan: { ...loaded.plan, vms: [{ ...db!, bootScript: reference }, web!] } as DrPlan,
    scripts: [...loaded.scripts, { ...reference, content: SCRIPT }],
  };
}

const makeLaunchCopy = (attempt: number) => {
  const { makeLaunchCopy: activity } = createLaunchCopyActivities({
    ec2: site.ec2,
    ebs: site.ebs,
    guestAdapter: guestAdapter(),
    objectStore: () => site.store,
    directory: join(site.directory, 'launch-copies'),
    pollSeconds: 0.05,
  });
  return inActivity(activity, { run, vm: VM, recoveryPoint: idOf(1) }, newEnvironment({ attempt }));
};

beforeAll(async () => {
  site = await startCopySite();
  run = runNumber(site, 1);
  const published = await windowsPlan();
  plan = published.plan;
  run = { ...run, digest: (await publishPlan(site.store, plan, published.scripts)).digest };
  home = await makeWindowsDisk(MBR);
  site.hypervisor.setDisk('system', readFileSync(home));
  await backUp(site, 1);
  await restore(site, 'direct', run);
  run = { ...run, generation: (await takePlanState(site.store, run, ['protected'], 'protected')).generation };
});
afterAll(async () => {
  await site.close();
  removeDisks();
});

it('is adapted into a child of its DR copy, once for all times that it is asked for', async () => {
  const made = await makeLaunchCopy(1);
  expect(made).toMatchObject({ outcome: 'made' });
  expect(made.warnings.join(' ')).toMatch(
    /known only after a test failover.*Names of other VMs lead nowhere/,
  );
  // What is put into a Windows guest is its registry and a few files.
  expect(made.blocks).toBeLessThan(20);
  expect(await makeLaunchCopy(2)).toMatchObject({ outcome: 'kept' });

  const drCopy = (await findDrCopy(site.ec2, 'shop', VM))!;
  const [found, ...others] = await findLaunchSnapshots(site.ec2, { plan: 'shop', role: 'launch-copy' });
  expect(others).toEqual([]);
  expect(found!.tags).toMatchObject({ disk: 'system', boot: true, madeOf: launchCopyDigest(plan, drCopy) });
  // Another script is another launch copy.
  const { bootScript: _, ...db } = plan.vms[0]!;
  expect(launchCopyOf({ vms: [db, plan.vms[1]!] }, drCopy, [found!])).toBeUndefined();

  launchCopy = { path: join(directory, 'launch-copy.raw'), snapshotId: found!.snapshot.SnapshotId };
  const { length } = readFileSync(home);
  writeFileSync(launchCopy.path, await snapshotBytes(site, launchCopy.snapshotId, length));
  // The DR copy, which replication goes on from, is the guest as it was.
  const { snapshotId } = drCopy.disks[0]!;
  expect((await snapshotBytes(site, snapshotId, length)).equals(readFileSync(home))).toBe(true);
});

it('holds a sound Windows with placeholders, as other programs read it', () => {
  const volume = volumeOf(launchCopy.path, MBR);
  expect(isSound(volume)).toBe(true);
  const read = (path: string): string => fileOn(volume, path)?.toString('latin1') ?? '';
  expect(read(HOSTS)).toMatch(/\r\n198\.18\.0\.1 db\.shop\.example\r\n198\.18\.0\.2 web\.shop\.example\r\n/);
  expect(read(`${STATE}/launch/scripts/00-db.ps1`)).toBe(SCRIPT.toString());
  expect(read(`${STATE}/launch/launch/Read-LaunchData.ps1`).replaceAll('\r\n', '\n')).toBe(
    LAUNCH_READER_SCRIPT,
  );
  expect(read(`${STATE}/launch/launch/environment`)).toContain(
    'LIFEBOAT_ADDRESS_WEB_SHOP_EXAMPLE=198.18.0.2\r\n',
  );
  expect(read(`${STATE}/run-id`)).toBe('launch\r\n');
  expect(new HiveReader(fileOn(volume, SYSTEM)!).dword(`${SERVICES}\\stornvme`, 'Start')).toBe(0);
});

(python === undefined ? it.skip : it)('has a registry that regipy and python-registry read', () => {
  const hive = join(directory, 'SYSTEM');
  writeFileSync(hive, fileOn(volumeOf(launchCopy.path, MBR), SYSTEM)!);
  const script = [
    'import sys, json',
    'from Registry import Registry',
    'from regipy.registry import RegistryHive',
    'one, other = Registry.Registry(sys.argv[1]), RegistryHive(sys.argv[1])',
    `s = "${SERVICES.replaceAll('\\', '\\\\')}\\\\"`,
    'values = lambda p: [v.value() for v in one.open(s + p).values() if v.name() in ("Start", "SanPolicy")]',
    'same = lambda p: [v.value for v in other.get_key("\\\\" + s + p).iter_values() if v.name in ("Start", "SanPolicy")]',
    'paths = ["stornvme", "Dhcp", "partmgr\\\\Parameters"]',
    'below = [k.name() for k in one.open(s + "stornvme").subkeys()]',
    'print(json.dumps([[values(p) for p in paths], [same(p) for p in paths], below]))',
  ].join('\n');
  const printed = execFileSync(python ?? '', ['-c', script, hive], { encoding: 'utf8' });
  expect(JSON.parse(printed)).toEqual([[[0], [2], [1]], [[0], [2], [1]], []]);
});

it('is launched by one image and one call, with user data that the guest takes', async () => {
  const activities = createLaunchActivities({
    ...{ ec2: site.ec2, ebs: site.ebs, objectStore: () => site.store },
    ...{ dial: dialer([]), pollSeconds: 0.05 },
  });
  const found = (await findDrCopy(site.ec2, 'shop', VM))!;
  const snapshots = await findLaunchSnapshots(site.ec2, { plan: 'shop', role: 'launch-copy' });
  const drCopy = {
    ...(await withConfiguration(site.store, found)),
    launchCopy: launchCopyOf(plan, found, snapshots),
  };
  const { imageId } = await inActivity(activities.registerImage, { run, vm: VM, drCopy });
  const { Images } = await site.ec2.send(
    new DescribeImagesCommand({ Owners: ['self'], Filters: tagFilters({ run: run.runId }) }),
  );
  expect(Images).toMatchObject([{ BlockDeviceMappings: [{ Ebs: { SnapshotId: launchCopy.snapshotId } }] }]);
  const { instanceId } = await inActivity(activities.launchInstance, {
    ...{ run, vm: VM, attempt: 1, imageId, instanceType: 'm6i.large', drCopy, test: false },
    ...{ subnet: PRODUCTION_SUBNET_ID, securityGroups: [PRODUCTION_SECURITY_GROUP_ID] },
    ...{ publicAddress: true, privateAddress: '10.0.1.30', recoveryPoint: drCopy.recoveryPoint },
  });
  const { Reservations } = await site.ec2.send(new DescribeInstancesCommand({ InstanceIds: [instanceId] }));
  expect(Reservations?.[0]?.Instances).toMatchObject([
    { MetadataOptions: { HttpTokens: 'required', HttpPutResponseHopLimit: 1 } },
  ]);
  const { UserData } = await site.ec2.send(
    new DescribeInstanceAttributeCommand({ InstanceId: instanceId, Attribute: 'userData' }),
  );
  const told = Buffer.from(UserData?.Value ?? '', 'base64').toString();
  expect(told).toBe(
    `lifeboat-launch 1\nrun ${run.runId}\naddress 198.18.0.1 10.0.1.30\naddress 198.18.0.2 10.0.1.31\n`,
  );
  expect(told).toMatch(new RegExp(`^(?:${LAUNCH_DATA})$`));
});

(long ? it : it.skip)('comes home as it was, after a launch that filled its files in', async () => {
  const disk = join(directory, 'home.raw');
  copyFileSync(launchCopy.path, disk);
  const filled = (path: string): string =>
    fileOn(volumeOf(disk, MBR), path)!
      .toString('latin1')
      .replaceAll('198.18.0.1 ', '10.0.1.30 ')
      .replaceAll('198.18.0.2', '10.0.1.31');
  const files = join(directory, 'filled.tar');
  const from = join(directory, 'filled');
  const written = [HOSTS, `${STATE}/launch/environment`];
  for (const path of written) {
    execFileSync('mkdir', ['-p', join(from, path, '..')]);
    writeFileSync(join(from, path), filled(path), 'latin1');
  }
  writeFileSync(join(from, STATE, 'launch/applied'), 'lifeboat-launch 1\n');
  execFileSync('tar', ['-cf', files, '--owner=0', '--group=0', '-C', from, '.']);
  await onDisks(
    [disk, files],
    mounted(MBR, [['/bin/tar', '-xf', '/dev/nvme0n2', '--overwrite', '-C', '/guest/x']]),
  );
  expect(allFiles(volumeOf(disk, MBR))[HOSTS.toLowerCase()]).toContain('10.0.1.31 web.shop.example');
  await guestAdapter().revertForPrimarySite(disk);
  const contents = (path: string) => {
    const volume = volumeOf(path, MBR);
    const { [SYSTEM.toLowerCase()]: _, ...rest } = allFiles(volume);
    return { rest, hive: dump(new HiveReader(fileOn(volume, SYSTEM)!)) };
  };
  const before = contents(home);
  expect(contents(disk)).toEqual({
    ...before,
    hive: { ...before.hive, [`\\${SERVICES}\\partmgr\\Parameters`]: [] },
  });
});
