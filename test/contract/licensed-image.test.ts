import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  DescribeImagesCommand,
  DescribeInstanceAttributeCommand,
  DescribeReplaceRootVolumeTasksCommand,
  DescribeVolumesCommand,
  type Image,
  StopInstancesCommand,
} from '@aws-sdk/client-ec2';
import { type DrCopy } from '../../activities/aws-proxy/account/contract';
import { type RecoveredVolume } from '../../activities/aws-proxy/launch/contract';
import { imageFindings } from '../../activities/aws-proxy/readiness/licensed-images';
import { readRecoveredVolume } from '../../activities/aws-proxy/account/tags';
import { publishPlan } from '../../repository/plans/plans';
import {
  LICENSED_BIOS_IMAGE_ID,
  LICENSED_UEFI_IMAGE_ID,
  SECOND_AVAILABILITY_ZONE,
  SECOND_ZONE_SUBNET_ID,
} from '../../sandbox/aws/fixtures';
import { FAULTS_FILE, type FaultRule } from '../../sandbox/aws/faults/rule';
import { type FailoverSite, shopPlan } from '../support/failover-site';
import { type FailoverSteps, openFailoverSteps } from '../support/failover-steps';
import { planOf } from '../unit/plan-file';
import { retried } from './run-activity';

let steps: FailoverSteps;
let site: FailoverSite;
let digest: string;
/** Of a VM with a boot disk alone, and its launch copy. */
let drCopy: DrCopy;
let launchSnapshot: string;

beforeAll(async () => {
  steps = await openFailoverSteps();
  ({ site } = steps);
  const { plan, scripts } = await planOf();
  ({ digest } = await publishPlan(site.store, plan, scripts));
  const boot = steps.drCopy.disks.find((disk) => disk.boot)!;
  const launchCopy = await steps.launchCopy();
  launchSnapshot = launchCopy.snapshots[0]!.snapshotId;
  drCopy = { ...steps.drCopy, disks: [boot], launchCopy };
});
afterAll(() => site.stop());
afterEach(() => {
  site.faults.length = 0;
  site.calls.length = 0;
});

const runOf = (runId: string) => ({ ...site.run(runId), digest });
const launchRequest = (runId: string, more: { leave?: 'running' | 'stopped'; subnet?: string } = {}) => ({
  ...steps.shellRequest(runId, LICENSED_BIOS_IMAGE_ID),
  run: runOf(runId),
  leave: 'running' as const,
  byLaunchCopy: true,
  ...more,
});
const launch = (request: ReturnType<typeof launchRequest>) =>
  site.activity(steps.activities.launchLicensedShell, request);
const volumeRequest = (runId: string, availabilityZone: string, of = drCopy) => ({
  ...{ run: runOf(runId), vm: 'db', attempt: 1, drCopy: of, availabilityZone, test: false },
  byLaunchCopy: true,
});
/** A running shell, and the VM's boot volume beside it. */
async function shellAndVolume(runId: string, subnet?: string) {
  const shell = await launch(launchRequest(runId, subnet === undefined ? {} : { subnet }));
  const request = volumeRequest(runId, shell.availabilityZone);
  const volumes = await site.activity(steps.activities.createVolumes, request);
  const { instanceId } = shell;
  return { ...shell, volumes, exchange: { run: runOf(runId), vm: 'db', instanceId, volumes } };
}
const counted = (operation: string): number =>
  site.calls.filter((call) => call.operation === operation).length;
const tasksOf = async (instanceId: string) => {
  const Filters = [{ Name: 'instance-id', Values: [instanceId] }];
  const { ReplaceRootVolumeTasks } = await steps.ec2.send(
    new DescribeReplaceRootVolumeTasksCommand({ Filters }),
  );
  return ReplaceRootVolumeTasks ?? [];
};
/** That the instance runs from the VM's volumes alone, as the licensed image's, and that nothing else of the run is there. */
async function expectRecovered(runId: string, instanceId: string, volumes: RecoveredVolume[]): Promise<void> {
  const instance = await steps.describeInstance(instanceId);
  expect(instance).toMatchObject({
    ...{ State: { Name: 'running' }, ImageId: LICENSED_BIOS_IMAGE_ID },
    ...{ PlatformDetails: 'Windows', UsageOperation: 'RunInstances:0002' },
    MetadataOptions: { HttpTokens: 'required' },
  });
  const attached = instance.BlockDeviceMappings!.map(({ DeviceName, Ebs }) => [
    DeviceName === instance.RootDeviceName,
    Ebs?.VolumeId,
    Ebs?.DeleteOnTermination,
  ]);
  const wanted = volumes.map(({ boot, volumeId }) => [boot, volumeId, true]);
  expect(new Set(attached)).toEqual(new Set(wanted));
  expect(await steps.volumesWith({ run: runId })).toEqual(volumes.map(({ volumeId }) => volumeId).sort());
}

it('launches from the licensed image and exchanges its root for the launch copy, in any zone', async () => {
  const runId = 'exchanged';
  const { instanceId, availabilityZone, volumes, exchange } = await shellAndVolume(
    runId,
    SECOND_ZONE_SUBNET_ID,
  );
  expect(availabilityZone).toBe(SECOND_AVAILABILITY_ZONE);
  await site.activity(steps.activities.replaceRootVolume, exchange);
  await expectRecovered(runId, instanceId, volumes);
  expect(await tasksOf(instanceId)).toMatchObject([
    { TaskState: 'succeeded', DeleteReplacedRootVolume: true },
  ]);
  const { Volumes = [] } = await steps.ec2.send(
    new DescribeVolumesCommand({ VolumeIds: volumes.map(({ volumeId }) => volumeId) }),
  );
  expect(Volumes).toMatchObject([{ SnapshotId: launchSnapshot, AvailabilityZone: SECOND_AVAILABILITY_ZONE }]);
  expect(readRecoveredVolume(Volumes[0]?.Tags)).toMatchObject({
    disk: 'system',
    boot: true,
    role: 'recovery',
  });
  const { UserData } = await steps.ec2.send(
    new DescribeInstanceAttributeCommand({ InstanceId: instanceId, Attribute: 'userData' }),
  );
  expect(Buffer.from(UserData?.Value ?? '', 'base64').toString()).toBe(`lifeboat-launch 1\nrun ${runId}\n`);
  // It runs already, and has its addresses.
  const start = { run: runOf(runId), vm: 'db', instanceId, instanceType: 'm6i.large' };
  expect(await site.activity(steps.activities.startInstance, start)).toMatchObject({
    privateAddress: expect.stringMatching(/^10\.0\.3\./) as string,
  });
  expect(counted('StartInstances')).toBe(0);

  const { removed } = await steps.removeRun(runId);
  expect(removed).toEqual(expect.arrayContaining([instanceId, ...volumes.map(({ volumeId }) => volumeId)]));
  const images = new DescribeImagesCommand({ ImageIds: [LICENSED_BIOS_IMAGE_ID] });
  expect((await steps.ec2.send(images)).Images).toHaveLength(1);
});

it('makes one of everything where each step is tried again, and answers were lost', async () => {
  const runId = 'twice';
  const lost = (operation: string) => ({ operation, times: 1, code: 'InternalError', carriedOut: true });
  site.faults.push(lost('RunInstances'), { operation: 'DescribeInstances', times: 1, code: 'InternalError' });
  const first = await retried(steps.activities.launchLicensedShell, launchRequest(runId));
  expect(first.tries).toBe(3);
  expect(await launch(launchRequest(runId))).toEqual(first.result);
  const { instanceId, availabilityZone } = first.result;
  const run = runOf(runId);
  const make = () => site.activity(steps.activities.createVolumes, volumeRequest(runId, availabilityZone));
  const volumes = await make();
  expect(await make()).toEqual(volumes);
  const exchange = { run, vm: 'db', instanceId, volumes };
  site.faults.push(
    lost('CreateReplaceRootVolumeTask'),
    { operation: 'DescribeReplaceRootVolumeTasks', times: 1, code: 'InternalError' },
    lost('ModifyInstanceAttribute'),
  );
  expect((await retried(steps.activities.replaceRootVolume, exchange)).tries).toBe(4);
  await site.activity(steps.activities.replaceRootVolume, exchange);
  await expectRecovered(runId, instanceId, volumes);
  expect(await tasksOf(instanceId)).toHaveLength(1);
  expect((await steps.removeRun(runId)).removed.filter((id) => id.startsWith('i-'))).toEqual([instanceId]);
});

it('needs a person where the exchange failed, and then changes the volumes of the stopped instance', async () => {
  const runId = 'failing';
  const { instanceId, volumes, exchange } = await shellAndVolume(runId);
  const operations = ['CreateReplaceRootVolumeTask'];
  const rule: FaultRule = { name: 'failing', operations, times: 1, fault: { kind: 'resource-error' } };
  writeFileSync(join(site.endpointDirectory, FAULTS_FILE), JSON.stringify({ rules: [rule] }));
  const replace = () => site.activity(steps.activities.replaceRootVolume, exchange);
  const failure = { type: 'RootReplacementFailed', nonRetryable: true };
  await expect(replace()).rejects.toMatchObject(failure);
  // A try after it finds the same task, and asks for no other.
  await expect(replace()).rejects.toThrow(
    /could not be replaced: its task replacevol-\w+ failed, and .* own root/,
  );
  expect(counted('CreateReplaceRootVolumeTask')).toBe(1);

  const run = runOf(runId);
  await site.activity(steps.activities.stopInstance, { run, vm: 'db', instanceId, force: true });
  await site.activity(steps.activities.attachVolumes, exchange);
  const start = { run, vm: 'db', instanceId, instanceType: 'm6i.large' };
  await site.activity(steps.activities.startInstance, start);
  await expectRecovered(runId, instanceId, volumes);
  await steps.removeRun(runId);
});

it('tells why EC2 refuses an exchange, and leaves the shell alone', async () => {
  const runId = 'refused';
  const { instanceId, volumes, exchange } = await shellAndVolume(runId);
  const operation = 'CreateReplaceRootVolumeTask';
  const message = 'The root volume is encrypted.';
  site.faults.push({ operation, times: 1, code: 'InvalidParameterValue', message });
  const replace = (request = exchange) => site.activity(steps.activities.replaceRootVolume, request);
  await expect(replace()).rejects.toMatchObject({
    ...{ type: 'RootReplacementFailed', nonRetryable: true },
    message: expect.stringContaining(
      'could not be replaced: The root volume is encrypted. A retry of the VM',
    ) as string,
  });
  // What is not known everywhere yet is asked for again.
  site.faults.push({ operation, times: 2, code: 'InvalidVolume.NotFound' });
  await replace();
  await expectRecovered(runId, instanceId, volumes);

  const others = { ...exchange, volumes: [...volumes, { ...volumes[0]!, boot: false }] };
  await expect(replace(others)).rejects.toMatchObject({ type: 'WrongVolume' });
  await expect(replace({ ...exchange, run: runOf('another') })).rejects.toMatchObject({
    type: 'WrongVolume',
  });
  await steps.removeRun(runId);
});

it('does not wait for an instance that has stopped, or is gone', async () => {
  const runId = 'stopped';
  const { instanceId, exchange } = await shellAndVolume(runId);
  await steps.ec2.send(new StopInstancesCommand({ InstanceIds: [instanceId] }));
  await site.activity(steps.activities.stopInstance, { run: runOf(runId), vm: 'db', instanceId });
  const replace = () => site.activity(steps.activities.replaceRootVolume, exchange);
  await expect(replace()).rejects.toMatchObject({ type: 'RootReplacementFailed' });
  const attempt = { run: runOf(runId), vm: 'db', attempt: 1 };
  await site.activity(steps.activities.discardShell, attempt);
  await expect(replace()).rejects.toMatchObject({ type: 'InstanceGone' });
  await steps.removeRun(runId);
});

it('gives a VM with more disks all of them on the stopped instance', async () => {
  const runId = 'data';
  const shell = await launch(launchRequest(runId, { leave: 'stopped' }));
  expect(await steps.describeInstance(shell.instanceId)).toMatchObject({ State: { Name: 'stopped' } });
  const { launchCopy } = drCopy;
  const request = volumeRequest(runId, shell.availabilityZone, { ...steps.drCopy, launchCopy });
  const volumes = await site.activity(steps.activities.createVolumes, request);
  const VolumeIds = volumes.map(({ volumeId }) => volumeId);
  const { Volumes = [] } = await steps.ec2.send(new DescribeVolumesCommand({ VolumeIds }));
  expect(new Set(Volumes.map(({ SnapshotId }) => SnapshotId))).toEqual(
    new Set([launchSnapshot, steps.drCopy.disks.find(({ boot }) => !boot)!.snapshotId]),
  );
  const { instanceId } = shell;
  const run = runOf(runId);
  await site.activity(steps.activities.attachVolumes, { run, vm: 'db', instanceId, volumes });
  const start = { run, vm: 'db', instanceId, instanceType: 'm6i.large' };
  await site.activity(steps.activities.startInstance, start);
  await expectRecovered(runId, instanceId, volumes);
  await steps.removeRun(runId);
});

it('tells missing capacity from an image that is refused, and from a launch copy that is gone', async () => {
  const runId = 'missing';
  const request = launchRequest(runId);
  const refuse = (operation: string, code: string) => site.faults.push({ operation, times: 1, code });
  refuse('RunInstances', 'InsufficientInstanceCapacity');
  await expect(launch(request)).rejects.toMatchObject({ type: 'NoCapacity', nonRetryable: true });
  refuse('RunInstances', 'OptInRequired');
  await expect(launch(request)).rejects.toMatchObject({
    ...{ type: 'LicensedImageRefused', nonRetryable: true },
    message: expect.stringContaining(`licensedImage ${LICENSED_BIOS_IMAGE_ID}`) as string,
  });
  const gone = { ...request, imageId: 'ami-0123456789abcdef0' };
  await expect(launch(gone)).rejects.toMatchObject({ type: 'LicensedImageRefused' });
  const snapshots = [{ diskKey: 'system', snapshotId: 'snap-0123456789abcdef0' }];
  const lost = volumeRequest(runId, SECOND_AVAILABILITY_ZONE, { ...drCopy, launchCopy: { snapshots } });
  await expect(site.activity(steps.activities.createVolumes, lost)).rejects.toMatchObject({
    ...{ type: 'LaunchCopyGone', nonRetryable: true },
  });
  expect((await steps.removeRun(runId)).removed).toEqual([]);
});

it('checks the image before a failover', async () => {
  const check = async (licensedImage?: string) => {
    const plan = shopPlan();
    plan.vms = plan.vms.map((vm) => ({ ...vm, licensedImage }));
    return site.activity(steps.activities.checkFailover, { run: site.run('check'), plan, test: false });
  };
  await check(LICENSED_BIOS_IMAGE_ID);
  await expect(check(LICENSED_UEFI_IMAGE_ID)).rejects.toThrow(
    `- The licensedImage ${LICENSED_UEFI_IMAGE_ID} of db boots in uefi mode, not in legacy-bios, which the VM's firmware needs.`,
  );
  await expect(check('ami-0123456789abcdef0')).rejects.toThrow(
    '- The licensedImage ami-0123456789abcdef0 of db is not in eu-central-1, or is not shared with this account.',
  );
});

describe('a licensed image', () => {
  const good: Image = {
    ...{ State: 'available', Architecture: 'x86_64', VirtualizationType: 'hvm', RootDeviceType: 'ebs' },
    ...{ RootDeviceName: '/dev/sda1', EnaSupport: true },
    BlockDeviceMappings: [
      { DeviceName: '/dev/sda1', Ebs: { VolumeSize: 30 } },
      { DeviceName: 'xvdca', VirtualName: 'ephemeral0' },
    ],
  };

  it.each<[string, Image, 'bios' | 'uefi', string[]]>([
    ['of no boot mode boots by BIOS', good, 'bios', []],
    ['that prefers UEFI has it', { ...good, BootMode: 'uefi-preferred' }, 'uefi', []],
    [
      'that prefers UEFI has no BIOS',
      { ...good, BootMode: 'uefi-preferred' },
      'bios',
      [expect.stringContaining('boots in uefi-preferred mode')],
    ],
    [
      'of no boot mode has no UEFI',
      good,
      'uefi',
      [expect.stringContaining('boots in legacy-bios mode, not in uefi')],
    ],
    [
      'of everything wrong is told all of it',
      {
        ...{
          State: 'pending',
          Architecture: 'arm64',
          VirtualizationType: 'paravirtual',
          RootDeviceType: 'instance-store',
        },
        ...{ EnaSupport: false, BlockDeviceMappings: [{ DeviceName: '/dev/sdb', Ebs: {} }] },
      },
      'bios',
      [
        ...[
          'is in the state pending',
          'is for arm64, not x86_64',
          'is of the virtualization type paravirtual, not hvm',
        ],
        ...['has a root of the type instance-store, not an EBS volume', 'is not for ENA network cards'],
        'has 1 more volume besides its root',
      ],
    ],
  ])('%s', (_, image, firmware, findings) => {
    expect(imageFindings(image, firmware)).toEqual(findings);
  });
});
