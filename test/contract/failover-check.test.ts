import { ChangeResourceRecordSetsCommand } from '@aws-sdk/client-route-53';
import { deleteSnapshots } from '../../activities/aws-proxy/account/snapshots';
import {
  PRODUCTION_SUBNET_ID,
  PROXY_AVAILABILITY_ZONE,
  SECOND_AVAILABILITY_ZONE,
  SECOND_ZONE_SUBNET_ID,
  SHOP_INSTANCE_PROFILE,
  TEST_SECURITY_GROUP_ID,
  TEST_SUBNET_ID,
} from '../../sandbox/aws/fixtures';
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

  it('tells of DNS what stops nothing: of the zone always, of the records where no move will tell it', async () => {
    const plan = shopPlan();
    const name = plan.dns!.records[0]!.name;
    const ResourceRecordSet = {
      Name: name,
      Type: 'A' as const,
      TTL: 86_400,
      ResourceRecords: [{ Value: '192.0.2.7' }],
    };
    const apply = (Action: 'CREATE' | 'DELETE') =>
      site.clients.route53.send(
        new ChangeResourceRecordSetsCommand({
          HostedZoneId: plan.dns!.hostedZone,
          ChangeBatch: { Changes: [{ Action, ResourceRecordSet }] },
        }),
      );
    await apply('CREATE');
    const zone = expect.stringMatching(/^Accelerated recovery of the zone Z\w+ is off/) as string;
    expect((await check(plan)).notes).toEqual([zone]);
    expect((await check(plan, true)).notes).toEqual([
      zone,
      expect.stringMatching(/has a TTL of 86400 s, and 60 s while .* Lower it some days before/),
    ]);
    await apply('DELETE');
  });

  it('knows from the backup that EC2 cannot boot a guest', async () => {
    const plan = shopPlan();
    const [vm] = plan.vms;
    plan.vms = [{ ...vm!, name: 'old', privateAddress: undefined }];
    plan.dns = undefined;
    const tried = { rehearsedAt: '2026-11-23T10:15:01.000Z', warnings: [] };
    const outcome = 'not adaptable';
    const problem = 'Kernel 3.16 of the guest has no ena.';
    const snapshots = await publishDrCopy(site, 'old', DB_DISKS, { ...tried, outcome, problem });
    await waitUntilCompleted(steps.ec2, snapshots);
    const failure = check(plan);
    await expect(failure).rejects.toMatchObject({ type: 'NotReadyForFailover', nonRetryable: true });
    await expect(failure).rejects.toThrow(
      'EC2 cannot boot old as it was at 2026-11-23T10:15:00.000Z: Kernel 3.16 of the guest has no ena. Mend it at the primary site',
    );
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

  it("looks at a VM's own subnets, groups, addresses and volumes as at the site's", async () => {
    const plan = shopPlan();
    const [vm] = plan.vms;
    delete vm!.privateAddress;
    vm!.recoverySite = {
      production: {
        subnets: [SECOND_ZONE_SUBNET_ID, PRODUCTION_SUBNET_ID],
        volumes: { disks: { data: { throughput: 500 } } },
      },
      test: { privateAddress: '10.0.2.30', secondaryAddresses: ['10.0.2.31'] },
    };
    expect(await check(plan)).toMatchObject({
      availabilityZone: PROXY_AVAILABILITY_ZONE,
      places: [{ vm: 'db', availabilityZone: SECOND_AVAILABILITY_ZONE }],
    });
    expect((await check(plan)).places?.[0]).not.toHaveProperty('subnet');
    expect(await check(plan, true)).toMatchObject({
      places: [{ vm: 'db', subnet: TEST_SUBNET_ID, availabilityZone: PROXY_AVAILABILITY_ZONE }],
    });

    vm!.recoverySite.production = {
      subnet: 'subnet-0123456789abcdef0',
      securityGroups: ['sg-0123456789abcdef0'],
      publicAddress: false,
      volumes: { volumeType: 'st1', disks: { data: { volumeType: 'io1', iops: 100 }, swap: {} } },
    };
    await expect(check(plan)).rejects.toThrow(
      [
        '- The subnet subnet-0123456789abcdef0 of db does not exist.',
        '- The security group sg-0123456789abcdef0 of db does not exist.',
        '- The plan says how the volume of the disk swap of db is made; it has system, data.',
        '- The volume of the disk system of db: volumeType: st1 volumes have 125 to 16384 GiB, and this one 2; choose another.',
        '- The volume of the disk system of db: volumeType: nothing boots from st1 volumes; choose another for this disk.',
        '- The volume of the disk data of db: iops: must be at most 50 for io1 of 1 GiB (50 a GiB), not 100.',
        '- The volume of the disk data of db: volumeType: io1 volumes have 4 to 16384 GiB, and this one 1; choose another.',
        "- www.shop.example is to have db's public address, but recoverySite.production has publicAddress: false.",
      ].join('\n'),
    );
    vm!.recoverySite.test = {
      instanceProfile: 'nobody',
      privateAddress: '10.0.2.30',
      secondaryAddresses: Array.from({ length: 10 }, (_, n) => `10.0.${n === 0 ? 1 : 2}.${100 + n}`),
    };
    await expect(check(plan, true)).rejects.toThrow(
      /m6i\.large of db takes 10 addresses on its network card, not 11[\s\S]*10\.0\.1\.100 of db is not in the subnet[\s\S]*profile nobody of db does not exist/,
    );
  });

  it('asks for instance profiles, and fails over all the same where nobody can tell', async () => {
    const plan = shopPlan();
    const { production } = plan.recoverySite;
    production.instanceProfile = SHOP_INSTANCE_PROFILE;
    await check(plan);
    production.instanceProfile = `arn:aws:iam::000000000000:instance-profile/${SHOP_INSTANCE_PROFILE}`;
    await check(plan);
    production.instanceProfile = `arn:aws:iam::000000000000:instance-profile/other/${SHOP_INSTANCE_PROFILE}`;
    await expect(check(plan)).rejects.toThrow(/profile arn:\S+ of db does not exist/);
    production.instanceProfile = 'nobody';
    await expect(check(plan)).rejects.toThrow('The instance profile nobody of db does not exist.');
    site.faults.push({ operation: 'GetInstanceProfile', times: 1, code: 'AccessDenied' });
    await check(plan);
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
