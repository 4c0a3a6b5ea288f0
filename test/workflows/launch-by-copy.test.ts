import { ApplicationFailure } from '@temporalio/common';
import { type FailoverRequest } from '../../workflows/failover';
import { type Answers, dependent, failOverOn, type Input } from './failover-run';
import { describeWithTemporal, temporalForTests } from './local-temporal';

const TEST: FailoverRequest = { plan: 'shop', mode: 'test' };
const SUBNETS = ['subnet-0a11fe0000000000a', 'subnet-0a11fe0000000000b'];
const DR_COPY = { recoveryPoint: 'r', takenAt: '2026-11-30T00:00:00Z', disks: [] };
const HARDWARE = { cpus: 1, memoryMiB: 512, firmware: 'bios', disks: [], nics: [] };
const LAUNCHED = {
  instanceId: 'i-0123456789abcdef1',
  privateAddress: '10.0.1.20',
  availabilityZone: 'eu-central-1b',
};

/** On a real Temporal server; what AWS would be asked is only noted. */
describeWithTemporal('a failover of a VM that has a launch copy', () => {
  const server = temporalForTests();

  const plan = dependent(['db', 'web'], { web: ['db'] });
  Object.assign(plan.recoverySite.test, { subnet: undefined, subnets: SUBNETS });
  plan.vms = plan.vms.map((vm) => ({ ...vm, instanceTypes: ['m6i.large', 'm5.large'] }));

  const failOver = (answers: Answers, calls: string[] = [], of = plan) =>
    failOverOn(
      server(),
      TEST,
      {
        checkFailover: () => ({
          availabilityZone: 'eu-central-1a',
          drCopies: plan.vms.map(({ name: vm }) => ({
            ...{ vm, ...DR_COPY, configuration: HARDWARE },
            launchCopy: { snapshots: [{ diskKey: 'system', snapshotId: 'snap-0123456789abcdef0' }] },
          })),
        }),
        registerImage: () => ({ imageId: 'ami-0123456789abcdef1' }),
        launchInstance: () => LAUNCHED,
        deregisterImages: () => undefined,
        ...answers,
      },
      { of, calls },
    );

  it('registers one image a VM and launches it, and asks for nothing else', async () => {
    const { calls, inputs, outcome } = await failOver({});
    const zone = { availabilityZone: 'eu-central-1b', launchedBy: 'launch copy', warnings: [] };
    expect(outcome).toMatchObject({
      vms: [
        { vm: 'db', ...zone },
        { vm: 'web', ...zone },
      ],
    });
    const asked = calls.filter((call) => / (db|web)$/.test(call));
    const each = (vm: string) =>
      ['registerImage', 'launchInstance', 'waitUntilReady'].map((name) => `${name} ${vm}`);
    const removed = inputs.get('deregisterImages')?.vms;
    expect([...(removed ?? [])].sort()).toEqual(['db', 'web']);
    expect([...asked].sort()).toEqual([...each('db'), ...each('web')].sort());
    // What can be done ahead is; the launch waits for all that the VM depends on.
    expect(calls.indexOf('launchInstance web')).toBeGreaterThan(calls.indexOf('waitUntilReady db'));
    expect(calls).not.toContain('ensureShellImage');
  }, 180_000);

  it('goes to the next zone, and then to the next type, at once where AWS has no capacity', async () => {
    const tried: Input[] = [];
    const { outcome } = await failOver({
      'launchInstance db': (input) => {
        tried.push(input);
        if (tried.length < 4) throw ApplicationFailure.nonRetryable('Not here.', 'NoCapacity');
        return LAUNCHED;
      },
    });
    expect(outcome).toMatchObject({ vms: [{ vm: 'db', instanceType: 'm5.large' }, { vm: 'web' }] });
    expect(tried.map(({ instanceType, subnet }) => [instanceType, subnet])).toEqual([
      ['m6i.large', SUBNETS[0]],
      ['m6i.large', SUBNETS[1]],
      ['m5.large', SUBNETS[0]],
      ['m5.large', SUBNETS[1]],
    ]);
    expect(tried.map(({ attempt }) => attempt)).toEqual([1, 2, 3, 4]);
  }, 180_000);

  it("gives each VM the plan's values for it, by whichever way, and says which fixed addresses hold", async () => {
    const own = structuredClone(plan);
    Object.assign(own.recoverySite.test, { instanceProfile: 'shop', tags: { Owner: 'shop' } });
    own.vms[0] = {
      ...own.vms[0]!,
      privateAddress: '10.0.1.30',
      recoverySite: {
        production: { volumes: { volumeType: 'gp2' } },
        test: {
          subnets: ['subnet-0a11fe0000000000c', 'subnet-0a11fe0000000000d'],
          securityGroups: ['sg-0a11fe0000000000c'],
          tags: { CostCentre: '42' },
          volumes: { disks: { data: { volumeType: 'gp3', iops: 4000 } } },
        },
      },
    };
    own.vms[1] = {
      ...own.vms[1]!,
      recoverySite: { test: { privateAddress: '10.0.2.31', secondaryAddresses: ['10.0.2.32'] } },
    };
    const disk = {
      sizeBytes: 2 ** 33,
      slot: 0,
      boot: true,
      snapshotId: 'snap-0123456789abcdef0',
      volumeGiB: 8,
    };
    const disks = [
      { ...disk, key: 'system' },
      { ...disk, key: 'data', slot: 1, boot: false },
    ];
    const { inputs, outcome } = await failOver(
      {
        checkFailover: () => ({
          availabilityZone: 'eu-central-1c',
          drCopies: own.vms.map(({ name: vm }) => ({
            ...{ vm, ...DR_COPY, disks, configuration: HARDWARE },
            // web takes the longer way.
            ...(vm === 'web' ? {} : { launchCopy: { snapshots: [] } }),
          })),
          places: [
            { vm: 'db', availabilityZone: 'eu-central-1b' },
            { vm: 'web', subnet: SUBNETS[1], availabilityZone: 'eu-central-1a' },
          ],
        }),
      },
      [],
      own,
    );
    expect(outcome).toMatchObject({ vms: [{ vm: 'db' }, { vm: 'web' }] });
    const volumes = { system: { volumeType: 'gp2' }, data: { volumeType: 'gp3', iops: 4000 } };
    expect(inputs.get('registerImage db')).toMatchObject({ volumes });
    const db = inputs.get('launchInstance db');
    expect(db).toMatchObject({
      subnet: 'subnet-0a11fe0000000000c',
      securityGroups: ['sg-0a11fe0000000000c'],
      publicAddress: false,
      instanceProfile: 'shop',
      tags: { Owner: 'shop', CostCentre: '42' },
      volumes,
    });
    // Its address is of production.
    expect(db).not.toHaveProperty('privateAddress');
    const web = { tags: { Owner: 'shop' } };
    expect(inputs.get('createVolumes web')).toMatchObject({ ...web, availabilityZone: 'eu-central-1a' });
    expect(inputs.get('createVolumes web')).not.toHaveProperty('volumes');
    expect(inputs.get('launchShell web')).toMatchObject({
      ...web,
      subnet: SUBNETS[1],
      privateAddress: '10.0.2.31',
      secondaryAddresses: ['10.0.2.32'],
    });
    expect(inputs.get('injectDrivers web')).toMatchObject({ test: true });
  }, 180_000);

  it.each(['registerImage', 'launchInstance'])(
    'takes the longer way, and says so, where %s finds the launch copy gone',
    async (step) => {
      const attempts: (number | undefined)[] = [];
      const { inputs, outcome } = await failOver({
        [`${step} db`]: ({ attempt }) => {
          attempts.push(attempt);
          throw ApplicationFailure.nonRetryable('Its snapshot is gone.', 'LaunchCopyGone');
        },
      });
      const db = { launchedBy: 'volumes', warnings: [expect.stringContaining('Its snapshot is gone.')] };
      expect(outcome).toMatchObject({ vms: [{ vm: 'db', ...db }, { launchedBy: 'launch copy' }] });
      // By whichever way, an attempt has a number of its own: it is in the client token.
      expect(inputs.get('launchShell db')?.attempt).toBe(step === 'launchInstance' ? 2 : 1);
      expect(inputs.get('launchShell db')?.subnet).toBe(SUBNETS[0]);
    },
    180_000,
  );

  it('does not fail for an image that cannot be removed, and tells of it', async () => {
    const { outcome } = await failOver({
      deregisterImages: () => {
        throw ApplicationFailure.nonRetryable('You are not allowed to.', 'NotPermitted');
      },
    });
    expect(outcome).toMatchObject({
      vms: ['db', 'web'].map((vm) => ({
        vm,
        warnings: [expect.stringMatching(new RegExp(`${vm} .*You are not allowed to.*sweep`)) as string],
      })),
    });
  }, 180_000);
});
