import { deleteSnapshots } from '../../activities/aws-proxy/account/snapshots';
import { PROXY_AVAILABILITY_ZONE, TEST_SECURITY_GROUP_ID } from '../../sandbox/aws/fixtures';
import { waitUntilCompleted } from '../support/failover-listing';
import { DB_DISKS, type FailoverSite, publishDrCopy, shopPlan } from '../support/failover-site';
import { type FailoverSteps, openFailoverSteps } from '../support/failover-steps';

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

const check = (plan = shopPlan(), test = false) =>
  site.activity(steps.activities.checkFailover, { run: site.run('check'), plan, test });

describe('checkFailover', () => {
  it('finds the DR copy and the zone of a plan that is ready, for both modes, and changes nothing', async () => {
    site.calls.length = 0;
    const ready = await check();
    expect(ready.availabilityZone).toBe(PROXY_AVAILABILITY_ZONE);
    expect(ready.drCopies).toMatchObject([
      {
        vm: 'db',
        configuration: { firmware: 'bios' },
        disks: DB_DISKS.map((disk, index) => ({ ...disk, snapshotId: steps.drCopySnapshots[index] })),
      },
    ]);
    await check(shopPlan(), true);
    const changing = site.calls.filter(({ operation }) => !/^(Describe|Get|List|Head)/.test(operation));
    expect(changing).toEqual([]);
  });

  it('names all that is wrong in one failure', async () => {
    const plan = shopPlan();
    plan.recoverySite.production.subnet = 'subnet-0123456789abcdef0';
    plan.recoverySite.production.securityGroups = ['sg-0123456789abcdef0'];
    const [vm] = plan.vms;
    plan.vms = [
      { ...vm!, instanceTypes: ['m6i.large', 'z9.huge'] },
      { ...vm!, name: 'web', privateAddress: undefined },
    ];
    plan.dns!.hostedZone = 'ZNOTTHERE';
    const failure = check(plan);
    await expect(failure).rejects.toMatchObject({ type: 'NotReadyForFailover', nonRetryable: true });
    await expect(failure).rejects.toThrow(
      [
        'The plan shop is not ready for a failover; nothing was changed.',
        '- The subnet subnet-0123456789abcdef0 does not exist.',
        '- The security group sg-0123456789abcdef0 does not exist.',
        '- The instance type z9.huge of db does not exist in this Region.',
        '- There is no complete DR copy of web; back it up and restore it first.',
        '- The hosted zone ZNOTTHERE does not exist.',
      ].join('\n'),
    );
  });

  it('sees security groups of another VPC, addresses that are taken or outside, and records of another zone', async () => {
    const plan = shopPlan();
    plan.recoverySite.production.securityGroups = [TEST_SECURITY_GROUP_ID];
    plan.recoverySite.production.publicAddress = false;
    plan.vms[0]!.privateAddress = '10.0.1.4';
    plan.dns!.records[0]!.name = 'www.elsewhere.example';
    await expect(check(plan)).rejects.toThrow(
      /is in vpc-\w+2, the subnet[\s\S]*10\.0\.1\.4 of db is in use[\s\S]*not in the hosted zone/,
    );
    plan.vms[0]!.privateAddress = '10.0.2.30';
    await expect(check(plan)).rejects.toThrow('10.0.2.30 of db is not in the subnet');
  });

  it('is not misled by an incomplete DR copy', async () => {
    const plan = shopPlan();
    plan.vms[0]!.name = 'half';
    const halves = await publishDrCopy(site, 'half', DB_DISKS);
    await waitUntilCompleted(steps.ec2, halves);
    expect(await check(plan)).toMatchObject({ drCopies: [{ vm: 'half' }] });
    await deleteSnapshots(steps.ec2, halves.slice(0, 1));
    await expect(check(plan)).rejects.toThrow('There is no complete DR copy of half');
  });
});
