import { CompleteSnapshotCommand, StartSnapshotCommand } from '@aws-sdk/client-ebs';
import {
  CreateVolumeCommand,
  DeleteVolumeCommand,
  DeregisterImageCommand,
  RegisterImageCommand,
  type Tag,
} from '@aws-sdk/client-ec2';
import { ChangeResourceRecordSetsCommand } from '@aws-sdk/client-route-53';
import { guestImage, ROOT_DEVICE } from '../../activities/aws-proxy/account/images';
import { tagList } from '../../activities/aws-proxy/account/tags';
import { volumeAvailable } from '../../activities/aws-proxy/account/volumes';
import { deleteSnapshots } from '../../activities/aws-proxy/account/snapshots';
import { createReadinessActivities } from '../../activities/aws-proxy/readiness/activities';
import { type Finding } from '../../plan/readiness';
import { type DrPlan } from '../../plan/schema';
import { type GuestRehearsal } from '../../repository/backups/manifest';
import {
  PROXY_AVAILABILITY_ZONE,
  PRODUCTION_SUBNET_ID,
  PROXY_INSTANCE_ID,
  REGION,
  shopFixtures,
  TEST_SECURITY_GROUP_ID,
} from '../../sandbox/aws/fixtures';
import { waitUntilCompleted } from '../support/failover-listing';
import {
  DB_DISKS,
  type FailoverSite,
  publishDrCopy,
  shopPlan,
  startFailoverSite,
} from '../support/failover-site';

const DAY = '2026-11-23T10:15:00.000Z';
const STANDARD = 'L-1216C47A';
const KEY = `arn:aws:kms:${REGION}:000000000000:key/11111111-2222-4333-8444-555555555555`;

/** An image as the first failover makes it. */
async function registerShell({ clients: { ec2, ebs }, run }: FailoverSite) {
  const tags = tagList({ plan: 'shop', run: run('shell').runId, role: 'shell' });
  const { SnapshotId } = await ebs.send(new StartSnapshotCommand({ VolumeSize: 1, Tags: tags }));
  await ebs.send(new CompleteSnapshotCommand({ SnapshotId, ChangedBlocksCount: 0 }));
  await waitUntilCompleted(ec2, [SnapshotId ?? '']);
  return ec2.send(
    new RegisterImageCommand({
      Name: 'lifeboat-shell-of-a-test',
      ...guestImage('bios'),
      BlockDeviceMappings: [{ DeviceName: ROOT_DEVICE, Ebs: { SnapshotId } }],
      TagSpecifications: [{ ResourceType: 'image', Tags: tags }],
    }),
  );
}

describe('checkReadiness', () => {
  const fixtures = shopFixtures();
  const endpoints = fixtures.vpcEndpoints;
  const ingress = fixtures.securityGroups.map((group) => group.ingress);
  let site: FailoverSite;
  let activities: ReturnType<typeof createReadinessActivities>;

  beforeAll(async () => {
    site = await startFailoverSite(fixtures);
    const dependencies = { ...site.clients, objectStore: () => site.store };
    activities = createReadinessActivities({
      ...{ ...dependencies, region: REGION, instanceId: PROXY_INSTANCE_ID },
    });
    const tried: GuestRehearsal = {
      rehearsedAt: '2026-11-23T10:15:01.000Z',
      outcome: 'adaptable',
      warnings: [],
    };
    const guests: Record<string, GuestRehearsal> = {
      db: tried,
      warned: { ...tried, warnings: ['The swap of a disk that is gone is left out.'] },
      untried: { ...tried, outcome: 'unknown', problem: 'The appliance is missing.' },
      stuck: { ...tried, outcome: 'not adaptable', problem: 'Kernel 3.16 has no ena.' },
    };
    for (const [vm, guest] of Object.entries(guests))
      await waitUntilCompleted(site.clients.ec2, await publishDrCopy(site, vm, DB_DISKS, guest));
  });
  afterAll(() => site.stop());
  beforeEach(() => {
    site.faults.length = 0;
    fixtures.quotas = { [STANDARD]: 64 };
    fixtures.encryptionByDefault = false;
    fixtures.vpcEndpoints = endpoints;
    fixtures.routeTables = [];
    fixtures.recycleBin = [{ id: 'snap-1', description: 'Lifeboat: system of other at …', createdAt: DAY }];
    fixtures.kmsKeys = { [KEY]: 'Enabled' };
    for (const [at, group] of fixtures.securityGroups.entries()) group.ingress = ingress[at] ?? [];
  });

  /** A plan with nothing wrong: its DR copies, which are of 2026, may be of any age. */
  function goodPlan(): DrPlan {
    return { ...shopPlan(), objectives: { rpo: 3_000_000_000 } };
  }

  /** The AWS proxy asks S3 as AWS's own endpoint would have it: no endpoint is named in any setting. */
  const check = (plan: DrPlan, replicated = true) => {
    const { repository, ...run } = site.run('check');
    const { endpoint: _, ...address } = repository;
    return site.activity(activities.checkReadiness, {
      run: { ...run, repository: address },
      plan,
      replicated,
    });
  };
  const findingsOf = async (plan: DrPlan): Promise<Finding[]> => (await check(plan)).findings;

  it('finds nothing in a plan that is ready, changes nothing, and tells what it looked at', async () => {
    site.calls.length = 0;
    expect(await check(goodPlan())).toEqual({
      findings: [],
      recoveryPoints: { db: '20261123T101500Z-0199abcd' },
      snapshotId: expect.stringMatching(/^snap-/) as string,
      proxyZones: [PROXY_AVAILABILITY_ZONE],
      guests: {
        db: { guestOs: 'debian12_64Guest', firmware: 'bios', disks: ['system*', 'data'] },
      },
    });
    const changing = site.calls.filter(
      ({ operation, input }) => !/^(Describe|Get|List|Head)/.test(operation) && input.DryRun !== true,
    );
    expect(changing).toEqual([]);
  });

  it('asks for each list once, for production and tests alike', async () => {
    site.calls.length = 0;
    const plan = goodPlan();
    plan.replication.launchCopy = true;
    await check(plan);
    const counts = [...Map.groupBy(site.calls, ({ operation }) => operation)].map(
      ([operation, { length }]) => [operation, length] as const,
    );
    expect(Object.fromEntries(counts)).toEqual({
      DescribeSubnets: 1,
      DescribeSecurityGroups: 1,
      // DR copies, and launch copies.
      DescribeSnapshots: 2,
      // What runs, the AWS proxy itself, and kept tests.
      DescribeInstances: 3,
      DescribeImages: 1,
      DescribeInstanceTypes: 1,
      DescribeInstanceTypeOfferings: 1,
      DescribeNetworkInterfaces: 1,
      DescribeVpcEndpoints: 1,
      // The subnet's own, of which there is none, and the main one.
      DescribeRouteTables: 2,
      DescribeVolumes: 1,
      GetEbsEncryptionByDefault: 1,
      ListSnapshotsInRecycleBin: 1,
      GetHostedZone: 1,
      ListHostedZonesByName: 1,
      ListResourceRecordSets: 1,
      // vCPUs, and storage.
      GetServiceQuota: 2,
      // The plan's state, and the VM's manifest.
      GetObject: 2,
      // Only whether they would be permitted.
      CreateVolume: 1,
      RegisterImage: 1,
    });
  });

  /** The plan protects another VM, whose name no record leads to. */
  const calledInstead = (name: string) => (plan: DrPlan) => {
    plan.vms[0]!.name = name;
    plan.dns = undefined;
  };

  /** What is done to a plan that is ready, or to its account, and what is found then, alone. */
  const faults: [name: string, spoil: (plan: DrPlan) => void, found: Partial<Finding>][] = [
    [
      'another Region',
      (plan) => (plan.recoverySite.region = 'eu-west-1'),
      { code: 'region', severity: 'impossible' },
    ],
    [
      'a subnet that is gone',
      (plan) => {
        plan.recoverySite.production.subnet = 'subnet-0123456789abcdef0';
        delete plan.vms[0]!.privateAddress;
      },
      {
        code: 'network',
        severity: 'impossible',
        text: 'The subnet subnet-0123456789abcdef0 does not exist.',
      },
    ],
    [
      'a security group of another VPC',
      (plan) => (plan.recoverySite.production.securityGroups = [TEST_SECURITY_GROUP_ID]),
      { code: 'network', severity: 'impossible' },
    ],
    [
      "a test subnet that is production's",
      (plan) => (plan.recoverySite.test = { ...plan.recoverySite.production, publicAddress: false }),
      { code: 'test-network', severity: 'warning' },
    ],
    [
      'a security group of tests that is gone',
      (plan) => (plan.recoverySite.test.securityGroups = ['sg-0123456789abcdef0']),
      { code: 'network', severity: 'warning' },
    ],
    [
      'a type that does not exist',
      (plan) => plan.vms[0]!.instanceTypes.push('z9.huge'),
      { code: 'instance-type', severity: 'impossible', vm: 'db' },
    ],
    [
      'an image that is not shared',
      (plan) => (plan.vms[0]!.licensedImage = 'ami-0123456789abcdef0'),
      { code: 'licensed-image', severity: 'impossible', vm: 'db' },
    ],
    ['a VM without a DR copy', calledInstead('new'), { code: 'dr-copy', severity: 'impossible', vm: 'new' }],
    [
      'a guest that EC2 cannot boot',
      calledInstead('stuck'),
      { code: 'dr-copy', severity: 'impossible', vm: 'stuck' },
    ],
    [
      'a volume for a disk that is not there',
      (plan) =>
        (plan.vms[0]!.recoverySite = { production: { volumes: { disks: { swap: { iops: 4000 } } } } }),
      { code: 'volume', severity: 'impossible', vm: 'db' },
    ],
    [
      'an address that is taken',
      (plan) => (plan.vms[0]!.privateAddress = '10.0.1.4'),
      { code: 'address', severity: 'impossible', vm: 'db' },
    ],
    [
      'an instance profile that is not there',
      (plan) => (plan.recoverySite.production.instanceProfile = 'nobody'),
      { code: 'instance-profile', severity: 'impossible', vm: 'db' },
    ],
    [
      'a zone that is gone',
      (plan) => (plan.dns!.hostedZone = 'ZNOTTHERE'),
      { code: 'dns', severity: 'impossible' },
    ],
    [
      'a record of another zone',
      (plan) => (plan.dns!.records[0]!.name = 'www.elsewhere.example'),
      { code: 'dns', severity: 'impossible' },
    ],
    [
      "a DR copy older than the plan's objective",
      (plan) => (plan.objectives = { rpo: 3600 }),
      {
        code: 'dr-copy-age',
        severity: 'warning',
        vm: 'db',
        text: "The DR copy of db is of 2026-11-23T10:15:00.000Z, and older than the plan's objective of 1 h.",
      },
    ],
    [
      'a DR copy older than two rounds of replication, where the plan has no objective',
      (plan) => delete plan.objectives,
      { code: 'dr-copy-age', severity: 'warning', about: "twice the replication's frequency (1 h)" },
    ],
    [
      "a DR copy that is not of the plan's key",
      (plan) => (plan.recoverySite.kmsKey = KEY),
      { code: 'kms-key', severity: 'warning', vm: 'db' },
    ],
    [
      'a key that is there no more, in a plan that is yet to use it',
      (plan) => {
        plan.recoverySite.kmsKey = `${KEY}6`;
        plan.vms = [];
        plan.dns = undefined;
      },
      {
        code: 'kms-key-unusable',
        severity: 'warning',
        text: expect.stringContaining('is not there') as string,
      },
    ],
    [
      'an account that encrypts by default',
      () => (fixtures.encryptionByDefault = true),
      { code: 'encryption-by-default', severity: 'warning', vm: 'db' },
    ],
    [
      'launch copies that are not there',
      (plan) => (plan.replication.launchCopy = true),
      { code: 'launch-copy', severity: 'warning', vm: 'db' },
    ],
    ["a guest's warnings", calledInstead('warned'), { code: 'guest', severity: 'warning', vm: 'warned' }],
    [
      'a guest that was not tried',
      calledInstead('untried'),
      { code: 'guest-not-tried', severity: 'warning', vm: 'untried' },
    ],
    [
      'too few vCPUs',
      () => (fixtures.quotas = { [STANDARD]: 3 }),
      {
        code: 'vcpu-quota',
        severity: 'impossible',
        // The AWS proxy itself is an m6i.large.
        text: `The plan's VMs need 2 vCPUs of the quota "Running On-Demand Standard (A, C, D, H, I, M, R, T, Z) instances" (${STANDARD}), which is 3; 2 are in use beside them.`,
      },
    ],
    [
      'a quota that may not be asked for',
      () =>
        void site.faults.push({
          ...{ operation: 'GetServiceQuota', times: 1, code: 'AccessDeniedException' },
          // Several are asked for at once.
          matches: ({ QuotaCode }) => QuotaCode === STANDARD,
        }),
      { code: 'not-checked', severity: 'warning', about: STANDARD },
    ],
    [
      "a readiness probe's port that no security group opens",
      () => (fixtures.securityGroups[0]!.ingress = [{ fromPort: 80, toPort: 6378, cidr: '0.0.0.0/0' }]),
      {
        code: 'probe-port',
        severity: 'warning',
        vm: 'db',
        text: expect.stringMatching(
          /let nobody in to port 6379, which its readiness probe asks\.$/,
        ) as string,
      },
    ],
    [
      "the same in the tests' security group",
      () => (fixtures.securityGroups[1]!.ingress = []),
      {
        code: 'probe-port',
        severity: 'warning',
        vm: 'db',
        text: expect.stringMatching(/port 6379, which its readiness probe asks in a test\.$/) as string,
      },
    ],
    [
      "an AWS proxy's network without an S3 endpoint",
      () => (fixtures.vpcEndpoints = []),
      { code: 's3-endpoint', severity: 'warning' },
    ],
    [
      "an S3 endpoint that the AWS proxy's subnet is not led to",
      () =>
        (fixtures.routeTables = [
          { id: 'rtb-1', vpc: 'vpc-0a11fe00000000001', subnets: [PRODUCTION_SUBNET_ID] },
        ]),
      {
        ...{ code: 's3-endpoint', severity: 'warning' },
        text: expect.stringContaining(`The route table rtb-1 of the AWS proxy's subnet`) as string,
        todo: expect.stringContaining('--add-route-table-ids rtb-1') as string,
      },
    ],
    [
      'an S3 endpoint that no route table leads to',
      () => (fixtures.vpcEndpoints = endpoints?.map((one) => ({ ...one, routeTables: [] }))),
      { code: 's3-endpoint', severity: 'warning' },
    ],
    [
      'route tables that may not be looked at',
      () =>
        void site.faults.push({ operation: 'DescribeRouteTables', times: 1, code: 'UnauthorizedOperation' }),
      { code: 'not-checked', severity: 'warning', about: 'the route tables' },
    ],
    [
      'too little storage for the volumes',
      () => (fixtures.quotas = { [STANDARD]: 64, 'L-7A658B76': 2 / 1024 }),
      {
        ...{ code: 'ebs-quota', severity: 'impossible', about: 'L-7A658B76' },
        text: expect.stringMatching(
          /^The volumes of the plan's VMs need 3 GiB of the quota "Storage for General/,
        ) as string,
        todo: expect.stringContaining(
          '--service-code ebs --quota-code L-7A658B76 --desired-value 1.',
        ) as string,
      },
    ],
    [
      'too little storage of the type that one disk has',
      (plan) => {
        plan.vms[0]!.recoverySite = { production: { volumes: { disks: { data: { volumeType: 'gp2' } } } } };
        fixtures.quotas = { [STANDARD]: 64, 'L-7A658B76': 2 / 1024, 'L-D18FCD1D': 0 };
      },
      { code: 'ebs-quota', about: 'L-D18FCD1D', text: expect.stringContaining('need 1 GiB') as string },
    ],
    [
      'a Recycle Bin that keeps what replication deletes',
      () =>
        fixtures.recycleBin?.push({
          ...{ id: 'snap-2', description: `Lifeboat: system of db at ${DAY}`, createdAt: DAY },
        }),
      {
        code: 'recycle-bin',
        severity: 'warning',
        text: 'The Recycle Bin keeps 1 snapshots of db that replication has deleted; they are billed.',
      },
    ],
    [
      'a call of a failover that is not permitted',
      () => void site.faults.push({ operation: 'CreateVolume', times: 1, code: 'UnauthorizedOperation' }),
      { code: 'permission', severity: 'impossible', about: 'ec2:CreateVolume' },
    ],
    [
      'a call of a failover that EC2 takes otherwise than it is meant',
      () => void site.faults.push({ operation: 'CreateVolume', times: 9, code: 'IncorrectState' }),
      { code: 'not-checked', severity: 'warning', about: 'ec2:CreateVolume' },
    ],
    [
      'S3 endpoints that may not be looked at',
      () =>
        void site.faults.push({ operation: 'DescribeVpcEndpoints', times: 1, code: 'UnauthorizedOperation' }),
      { code: 'not-checked', severity: 'warning', about: 'the S3 endpoint' },
    ],
    [
      'a permission that lacks',
      () =>
        void site.faults.push({
          operation: 'GetEbsEncryptionByDefault',
          times: 1,
          code: 'UnauthorizedOperation',
        }),
      { code: 'not-checked', severity: 'warning', about: 'EBS encryption by default' },
    ],
  ];

  it.each(faults)('finds %s, and says what to do', async (_, spoil, found) => {
    const plan = goodPlan();
    spoil(plan);
    const findings = await findingsOf(plan);
    expect(findings).toEqual([expect.objectContaining(found)]);
    expect(findings[0]?.todo).toMatch(/\w{3}.*\.$/);
  });

  it('asks whether instances may be launched as soon as there is an image to ask of', async () => {
    const { ImageId } = await registerShell(site);
    try {
      site.calls.length = 0;
      expect(await findingsOf(goodPlan())).toEqual([]);
      expect(site.calls.find(({ operation }) => operation === 'RunInstances')?.input).toMatchObject({
        ...{ DryRun: true, ImageId, InstanceType: 'm6i.large' },
      });
      site.faults.push({ operation: 'RunInstances', times: 1, code: 'UnauthorizedOperation' });
      expect(await findingsOf(goodPlan())).toMatchObject([{ code: 'permission', about: 'ec2:RunInstances' }]);
    } finally {
      await site.clients.ec2.send(new DeregisterImageCommand({ ImageId }));
    }
  });

  it('warns of what is wrong with DNS although a failover goes by it', async () => {
    const plan = goodPlan();
    const change = (Action: 'CREATE' | 'DELETE') =>
      site.clients.route53.send(
        new ChangeResourceRecordSetsCommand({
          HostedZoneId: plan.dns!.hostedZone,
          ChangeBatch: {
            Changes: [
              {
                Action,
                ResourceRecordSet: {
                  ...{ Name: plan.dns!.records[0]!.name, Type: 'A', TTL: 86_400 },
                  ResourceRecords: [{ Value: '192.0.2.7' }],
                },
              },
            ],
          },
        }),
      );
    await change('CREATE');
    expect(await findingsOf(plan)).toMatchObject([
      { code: 'dns', severity: 'warning', text: expect.stringContaining('has a TTL of 86400 s') as string },
    ]);
    await change('DELETE');
    expect(await findingsOf(plan)).toEqual([]);
  });

  it('does not want young DR copies of a plan that is not replicated now', async () => {
    const plan = { ...goodPlan(), objectives: { rpo: 60 } };
    expect((await check(plan, false)).findings).toEqual([]);
  });

  it("goes by the route table of the AWS proxy's subnet", async () => {
    fixtures.routeTables = [{ id: 'rtb-1', vpc: 'vpc-0a11fe00000000001', subnets: [PRODUCTION_SUBNET_ID] }];
    fixtures.vpcEndpoints = endpoints?.map((one) => ({ ...one, routeTables: ['rtb-1'] }));
    expect(await findingsOf(goodPlan())).toEqual([]);
  });

  it('counts the volumes that there are, but for those of a failover of the plan', async () => {
    const { ec2 } = site.clients;
    fixtures.quotas = { [STANDARD]: 64, 'L-7A658B76': 4 / 1024 };
    const make = async (Tags: Tag[]): Promise<string> => {
      const { VolumeId = '' } = await ec2.send(
        new CreateVolumeCommand({
          ...{ AvailabilityZone: PROXY_AVAILABILITY_ZONE, Size: 2, VolumeType: 'gp3' },
          ...(Tags.length === 0 ? {} : { TagSpecifications: [{ ResourceType: 'volume', Tags }] }),
        }),
      );
      return VolumeId;
    };
    const ours = await make(tagList({ plan: 'shop', run: 'before', role: 'recovery' }));
    expect(await findingsOf(goodPlan())).toEqual([]);
    const other = await make([]);
    expect(await findingsOf(goodPlan())).toMatchObject([
      { code: 'ebs-quota', text: expect.stringMatching(/; 2 GiB are in use beside them\.$/) as string },
    ]);
    for (const id of [ours, other]) {
      await volumeAvailable(ec2, id);
      await ec2.send(new DeleteVolumeCommand({ VolumeId: id }));
    }
  });

  it("takes AWS's default where the account has no value of its own", async () => {
    fixtures.quotas = {};
    const plan = goodPlan();
    site.faults.push({ operation: 'GetServiceQuota', times: 4, code: 'NoSuchResourceException' });
    // 2 of the plan and 2 that run, of 5.
    expect(await findingsOf(plan)).toEqual([]);
    plan.vms[0]!.instanceTypes = ['m6i.xlarge'];
    expect(await findingsOf(plan)).toMatchObject([{ code: 'vcpu-quota', about: STANDARD }]);
  });

  it('names what is wrong with both sites once, the worst first', async () => {
    const plan = goodPlan();
    plan.vms[0]!.instanceTypes.push('z9.huge');
    plan.recoverySite.test.securityGroups = ['sg-0123456789abcdef0'];
    plan.objectives = { rpo: 60 };
    expect(await findingsOf(plan)).toMatchObject([
      { code: 'instance-type', severity: 'impossible' },
      { code: 'network', severity: 'warning' },
      { code: 'dr-copy-age', severity: 'warning' },
    ]);
  });

  it('is not misled by calls that come too fast', async () => {
    site.faults.push({ operation: 'CreateVolume', times: 1, code: 'RequestLimitExceeded' });
    expect(await findingsOf(goodPlan())).toEqual([]);
    expect(site.faults[0]?.times).toBe(0);
  });

  it('fails where what a failover needs cannot be asked', async () => {
    site.faults.push({ operation: 'DescribeSubnets', times: 1, code: 'UnauthorizedOperation' });
    await expect(check(goodPlan())).rejects.toMatchObject({ type: 'NotPermitted' });
  });

  it('does not count as a DR copy what is half', async () => {
    const plan = goodPlan();
    plan.vms[0]!.name = 'half';
    plan.dns = undefined;
    const halves = await publishDrCopy(site, 'half', DB_DISKS);
    await waitUntilCompleted(site.clients.ec2, halves);
    expect(await findingsOf(plan)).toEqual([]);
    await deleteSnapshots(site.clients.ec2, halves.slice(0, 1));
    expect(await check(plan)).toMatchObject({ findings: [{ code: 'dr-copy' }], recoveryPoints: {} });
  });
});
