import { ApplicationFailure } from '@temporalio/common';
import { type FailoverRequest } from '../../workflows/failover';
import { retryUpdate, statusQuery } from '../../workflows/run/messages';
import { eventually } from '../support/eventually';
import { type Answers, dependent, failOverOn, type Input } from './failover-run';
import { describeWithTemporal, temporalForTests } from './local-temporal';

const TEST: FailoverRequest = { plan: 'shop', mode: 'test' };
const IMAGE = 'ami-0123456789abcdef2';
const SUBNETS = ['subnet-0a11fe0000000000a', 'subnet-0a11fe0000000000b'];
const SECOND_ZONE = 'eu-central-1b';
const disk = (key: string, boot: boolean) => ({ key, sizeBytes: 2 ** 30, slot: boot ? 0 : 1, boot });
const SYSTEM = disk('system', true);
const HARDWARE = { cpus: 1, memoryMiB: 512, firmware: 'bios', disks: [], nics: [] };

/** On a real Temporal server; what AWS would be asked is only noted. */
describeWithTemporal('a failover of a VM whose plan names a licensed image', () => {
  const server = temporalForTests();

  const plan = dependent(['db', 'web', 'files'], { web: ['db'] });
  plan.recoverySite.test = {
    securityGroups: ['sg-0a11fe00000000001'],
    publicAddress: false,
    subnets: SUBNETS,
  };
  Object.assign(plan.vms[0]!, { licensedImage: IMAGE, instanceTypes: ['m6i.large', 'm5.large'] });
  plan.vms[2]!.licensedImage = IMAGE;

  interface Case {
    launchCopy?: boolean;
    request?: FailoverRequest;
    meanwhile?: Parameters<typeof failOverOn>[3]['meanwhile'];
  }
  /** db and files, which has more disks, are launched from the image; web, which depends on db, as any other VM. */
  const failOver = (answers: Answers, { launchCopy = false, request = TEST, meanwhile }: Case = {}) =>
    failOverOn(
      server(),
      request,
      {
        checkFailover: () => ({
          availabilityZone: 'eu-central-1a',
          drCopies: plan.vms.map(({ name: vm }) => ({
            ...{ vm, recoveryPoint: 'r', takenAt: '2026-11-30T00:00:00Z', configuration: HARDWARE },
            disks: (vm === 'files' ? [SYSTEM, disk('data', false)] : [SYSTEM]).map((one) => ({
              ...one,
              snapshotId: 'snap-0123456789abcdef0',
              volumeGiB: 1,
            })),
            ...(launchCopy && vm === 'db'
              ? { launchCopy: { snapshots: [{ diskKey: 'system', snapshotId: 'snap-0123456789abcdef1' }] } }
              : {}),
          })),
        }),
        ...answers,
      },
      { of: plan, meanwhile },
    );
  const callsOf = (vm: string, calls: string[]): string[] =>
    calls.filter((call) => call.endsWith(` ${vm}`)).map((call) => call.slice(0, -vm.length - 1));

  it('exchanges the root of the running instance, unless a guest of the image would see the data of the VM', async () => {
    const { calls, inputs, outcome } = await failOver({});
    expect(outcome).toMatchObject({
      vms: [
        { vm: 'db', launchedBy: 'licensed image', availabilityZone: 'eu-central-1a', warnings: [] },
        { vm: 'web', launchedBy: 'volumes' },
        { vm: 'files', launchedBy: 'licensed image' },
      ],
    });
    const asked = callsOf('db', calls);
    expect([...asked].sort()).toEqual(
      [
        ...['createVolumes', 'injectDrivers', 'launchLicensedShell', 'replaceRootVolume'],
        ...['startInstance', 'waitUntilReady'],
      ].sort(),
    );
    expect(asked.slice(-3)).toEqual(['replaceRootVolume', 'startInstance', 'waitUntilReady']);
    expect(inputs.get('launchLicensedShell db')).toMatchObject({
      ...{ imageId: IMAGE, leave: 'running', byLaunchCopy: false, subnet: SUBNETS[0] },
    });
    expect(inputs.get('launchShell web')).toMatchObject({ imageId: 'ami-0123456789abcdef0' });

    expect(inputs.get('launchLicensedShell files')).toMatchObject({ imageId: IMAGE, leave: 'stopped' });
    expect(callsOf('files', calls).slice(-3)).toEqual(['attachVolumes', 'startInstance', 'waitUntilReady']);
    expect(calls).not.toContain('replaceRootVolume files');
  }, 180_000);

  it('makes the volumes of the launch copy where the instance found capacity, and injects nothing', async () => {
    const tried: Input[] = [];
    const { calls, inputs, outcome } = await failOver(
      {
        'launchLicensedShell db': (input) => {
          tried.push(input);
          if (tried.length < 4) throw ApplicationFailure.nonRetryable('Not here.', 'NoCapacity');
          return { instanceId: 'i-0123456789abcdef3', availabilityZone: SECOND_ZONE };
        },
      },
      { launchCopy: true },
    );
    expect(outcome).toMatchObject({
      vms: [
        { launchedBy: 'licensed image', availabilityZone: SECOND_ZONE, instanceType: 'm5.large' },
        {},
        {},
      ],
    });
    expect(tried.map(({ instanceType, subnet, attempt }) => [instanceType, subnet, attempt])).toEqual([
      ['m6i.large', SUBNETS[0], 1],
      ['m6i.large', SUBNETS[1], 2],
      ['m5.large', SUBNETS[0], 3],
      ['m5.large', SUBNETS[1], 4],
    ]);
    expect(inputs.get('createVolumes db')).toMatchObject({
      availabilityZone: SECOND_ZONE,
      byLaunchCopy: true,
    });
    expect(callsOf('db', calls).slice(4)).toEqual([
      ...['createVolumes', 'replaceRootVolume', 'startInstance', 'waitUntilReady'],
    ]);
  }, 180_000);

  it('takes the longer way in the first zone, and says so, where the launch copy is gone', async () => {
    const { calls, inputs, outcome } = await failOver(
      {
        'createVolumes db': (input) => {
          if ((input as { byLaunchCopy?: boolean }).byLaunchCopy !== true) return [];
          throw ApplicationFailure.nonRetryable('Its snapshot is gone.', 'LaunchCopyGone');
        },
      },
      { launchCopy: true },
    );
    const warnings = [expect.stringContaining('Its snapshot is gone.')];
    expect(outcome).toMatchObject({ vms: [{ vm: 'db', launchedBy: 'licensed image', warnings }, {}, {}] });
    expect(inputs.get('discardShell db')).toMatchObject({ attempt: 1 });
    expect(inputs.get('launchLicensedShell db')).toMatchObject({ attempt: 2, byLaunchCopy: false });
    expect(callsOf('db', calls)).toContain('injectDrivers');
  }, 180_000);

  it('waits for a person where the exchange failed, and then changes the volumes of the stopped instance', async () => {
    const { calls, inputs, outcome } = await failOver(
      {
        takePlanState: () => ({ generation: 2 }),
        'replaceRootVolume db': () => {
          throw ApplicationFailure.nonRetryable('Its task failed.', 'RootReplacementFailed');
        },
      },
      {
        request: { plan: 'shop', mode: 'disaster' },
        async meanwhile(run) {
          const status = await eventually(60, async () => {
            const now = await run.query(statusQuery);
            return now.needsAttention ? now : undefined;
          });
          const db = {
            vm: 'db',
            phase: 'needs attention',
            detail: expect.stringContaining('Its task failed.'),
          };
          expect(status.vms[0]).toMatchObject(db);
          await run.executeUpdate(retryUpdate, { args: [{ vm: 'db' }] });
        },
      },
    );
    expect(outcome).toMatchObject({ vms: [{ vm: 'db', launchedBy: 'licensed image' }, {}, {}] });
    expect(callsOf('db', calls).slice(-5)).toEqual([
      ...['replaceRootVolume', 'stopInstance', 'attachVolumes', 'startInstance', 'waitUntilReady'],
    ]);
    expect(inputs.get('stopInstance db')).toMatchObject({ force: true });
    expect(calls.filter((call) => call === 'launchLicensedShell db')).toHaveLength(1);
  }, 180_000);
});
