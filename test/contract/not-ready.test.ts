import { deleteSnapshots } from '../../activities/aws-proxy/account/snapshots';
import { createReadinessActivities } from '../../activities/aws-proxy/readiness/activities';
import { FORCEABLE, verdictOf } from '../../plan/readiness';
import { type DrPlan } from '../../plan/schema';
import {
  LICENSED_UEFI_IMAGE_ID,
  PROXY_AVAILABILITY_ZONE,
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
import { failureOf } from './run-activity';

const NOT_THERE = '0123456789abcdef0';
const POINT = '20261123T101500Z-0199abcd';
const STANDARD = 'L-1216C47A';
const KEY = `arn:aws:kms:${REGION}:000000000000:key/11111111-2222-4333-8444-555555555555`;

describe('a plan is not ready, and says why', () => {
  const fixtures = shopFixtures();
  let site: FailoverSite;
  let activities: ReturnType<typeof createReadinessActivities>;

  beforeAll(async () => {
    site = await startFailoverSite(fixtures);
    activities = createReadinessActivities({
      ...site.clients,
      ...{ objectStore: () => site.store, region: REGION, instanceId: PROXY_INSTANCE_ID },
    });
    const tried = { rehearsedAt: '2026-11-23T10:15:01.000Z', warnings: [] };
    const stuck = { ...tried, outcome: 'not adaptable' as const, problem: 'Kernel 3.16 has no ena.' };
    const [half = ''] = await publishDrCopy(site, 'half', DB_DISKS);
    const snapshots = [
      ...(await publishDrCopy(site, 'db', DB_DISKS)),
      ...(await publishDrCopy(site, 'stuck', DB_DISKS, stuck)),
      ...(await publishDrCopy(site, 'unbacked', DB_DISKS)),
      ...(await publishDrCopy(site, 'damaged', DB_DISKS)),
      ...(await publishDrCopy(site, 'sealed', DB_DISKS, undefined, KEY)),
    ];
    await waitUntilCompleted(site.clients.ec2, [half, ...snapshots]);
    await deleteSnapshots(site.clients.ec2, [half]);
    await site.store.delete(`unbacked/backups/${POINT}/manifest.json`);
    await site.store.put(`damaged/backups/${POINT}/manifest.json`, Buffer.from('{"version":1}'));
  });
  afterAll(() => site.stop());
  beforeEach(() => {
    site.faults.length = 0;
    fixtures.quotas = { [STANDARD]: 64 };
    fixtures.kmsKeys = { [KEY]: 'Enabled' };
  });

  /** A plan with nothing wrong: its DR copies, which are of 2026, may be of any age. */
  const goodPlan = (): DrPlan => ({ ...shopPlan(), objectives: { rpo: 3_000_000_000 } });
  const check = (plan: DrPlan) =>
    site.activity(activities.checkReadiness, { run: site.run('check'), plan, replicated: true });
  const failOver = (plan: DrPlan, more: { force?: (typeof FORCEABLE)[number][] } = {}) =>
    site.activity(activities.checkFailover, { run: site.run('check'), plan, test: false, ...more });

  /** The plan protects another VM, whose name no record leads to. */
  const protecting = (name: string) => (plan: DrPlan) => {
    plan.vms[0]!.name = name;
    plan.dns = undefined;
  };
  const production = (change: Partial<DrPlan['recoverySite']['production']>) => (plan: DrPlan) => {
    delete plan.vms[0]!.privateAddress;
    Object.assign(plan.recoverySite.production, change);
  };
  const types = (instanceTypes: string[]) => (plan: DrPlan) =>
    void Object.assign(plan.vms[0]!, { instanceTypes });
  const address = (privateAddress: string) => (plan: DrPlan) =>
    void Object.assign(plan.vms[0]!, { privateAddress });

  const READY = 'a plan with nothing wrong';
  /** What is done to a plan that is ready, or to its account; and what is found: its code, its VM and the fact. */
  const reasons: [
    name: string,
    spoil: (plan: DrPlan) => void,
    code: string,
    vm: string | undefined,
    fact: RegExp,
  ][] = [
    [
      'the proxy is in another Region',
      (plan) => (plan.recoverySite.region = 'eu-west-1'),
      'region',
      undefined,
      /is in eu-west-1/,
    ],
    [
      'a subnet is gone',
      production({ subnet: `subnet-${NOT_THERE}` }),
      'network',
      undefined,
      /subnet-0123\w+ does not exist/,
    ],
    [
      'a security group is gone',
      production({ securityGroups: [`sg-${NOT_THERE}`] }),
      'network',
      undefined,
      /group sg-0123\w+ does not exist/,
    ],
    [
      'a security group is of another VPC',
      production({ securityGroups: [TEST_SECURITY_GROUP_ID] }),
      'network',
      undefined,
      /is in vpc-\w+2, the subnet/,
    ],
    [
      "a VM's own subnet is gone",
      (plan) => {
        delete plan.vms[0]!.privateAddress;
        plan.vms[0]!.recoverySite = { production: { subnet: `subnet-${NOT_THERE}` } };
      },
      'network',
      'db',
      /of db does not exist/,
    ],
    [
      'a type does not exist',
      types(['m6i.large', 'z9.huge']),
      'instance-type',
      'db',
      /z9\.huge of db does not exist/,
    ],
    [
      'a type takes fewer addresses',
      (plan) => {
        plan.vms[0]!.recoverySite = { production: { secondaryAddresses: ['10.0.1.31', '10.0.1.32'] } };
        plan.vms[0]!.instanceTypes = ['t3.nano'];
      },
      'instance-type',
      'db',
      /takes 2 addresses/,
    ],
    [
      'a licensed image is not shared',
      (plan) => (plan.vms[0]!.licensedImage = `ami-${NOT_THERE}`),
      'licensed-image',
      'db',
      /is not shared with this account/,
    ],
    [
      'a licensed image boots by other firmware',
      (plan) => (plan.vms[0]!.licensedImage = LICENSED_UEFI_IMAGE_ID),
      'licensed-image',
      'db',
      /boots in uefi mode/,
    ],
    ['a VM was never replicated', protecting('new'), 'dr-copy', 'new', /no complete DR copy of new/],
    ['a DR copy is half', protecting('half'), 'dr-copy', 'half', /no complete DR copy of half/],
    ["a DR copy's backup is gone", protecting('unbacked'), 'dr-copy', 'unbacked', /lacks the backup/],
    ["a DR copy's backup is damaged", protecting('damaged'), 'dr-copy', 'damaged', /cannot be trusted/],
    ['EC2 cannot boot the guest', protecting('stuck'), 'dr-copy', 'stuck', /cannot boot stuck .* has no ena/],
    [
      'a volume is for a disk that is not there',
      (plan) => (plan.vms[0]!.recoverySite = { production: { volumes: { disks: { swap: {} } } } }),
      'volume',
      'db',
      /disk swap of db/,
    ],
    [
      'a volume is larger than its type allows IOPS',
      (plan) =>
        (plan.vms[0]!.recoverySite = { production: { volumes: { disks: { data: { volumeType: 'st1' } } } } }),
      'volume',
      'db',
      /st1 volumes have 125/,
    ],
    ['an address is taken', address('10.0.1.4'), 'address', 'db', /10\.0\.1\.4 of db is in use/],
    ['an address is not in the subnet', address('10.0.2.30'), 'address', 'db', /is not in the subnet/],
    ['an address is one that AWS keeps', address('10.0.1.2'), 'address', 'db', /that AWS keeps/],
    [
      'an instance profile is not there',
      production({ instanceProfile: 'nobody' }),
      'instance-profile',
      'db',
      /profile nobody of db does not exist/,
    ],
    [
      'the hosted zone is gone',
      (plan) => (plan.dns!.hostedZone = 'ZNOTTHERE'),
      'dns',
      undefined,
      /zone ZNOTTHERE does not exist/,
    ],
    [
      'a record is of another zone',
      (plan) => (plan.dns!.records[0]!.name = 'www.elsewhere.example'),
      'dns',
      undefined,
      /www\.elsewhere\.example is not in/,
    ],
    [
      'a record wants an address that nobody has',
      production({ publicAddress: false }),
      'dns',
      'db',
      /publicAddress: false/,
    ],
    [
      'the quota of vCPUs is too small',
      () => (fixtures.quotas = { [STANDARD]: 3 }),
      'vcpu-quota',
      undefined,
      /need 2 vCPUs .* which is 3; 2 are in use/,
    ],
    [
      'the quota of storage is too small',
      () => (fixtures.quotas = { [STANDARD]: 64, 'L-7A658B76': 0 }),
      'ebs-quota',
      undefined,
      /need 3 GiB .* which is 0 TiB; 0 GiB are in use/,
    ],
    [
      "a DR copy's key is about to be deleted",
      (plan) => {
        protecting('sealed')(plan);
        fixtures.kmsKeys = { [KEY]: 'PendingDeletion' };
      },
      'kms-key-unusable',
      'sealed',
      /is PendingDeletion: of the DR copy of sealed/,
    ],
    [
      'a failover may not make volumes',
      () => void site.faults.push({ operation: 'CreateVolume', times: 1, code: 'UnauthorizedOperation' }),
      'permission',
      undefined,
      /ec2:CreateVolume/,
    ],
  ];

  it('has more than twenty reasons', () => expect(reasons.length).toBeGreaterThan(20));

  it(READY, async () => {
    const { findings } = await check(goodPlan());
    expect([verdictOf(findings), findings]).toEqual(['ready', []]);
    expect(await failOver(goodPlan())).toMatchObject({ availabilityZone: PROXY_AVAILABILITY_ZONE });
  });

  it.each(reasons)('%s', async (_, spoil, code, vm, fact) => {
    const plan = goodPlan();
    spoil(plan);
    const { findings } = await check(plan);
    expect(verdictOf(findings)).toBe('not ready');
    const impossible = findings.filter(({ severity }) => severity === 'impossible');
    expect(impossible).toEqual([
      {
        ...{ code, severity: 'impossible', text: expect.stringMatching(fact) as string },
        ...(vm === undefined ? {} : { vm }),
        todo: expect.stringMatching(/^[A-Z].{10,}\.$/) as string,
        ...(impossible[0]?.about === undefined ? {} : { about: impossible[0].about }),
      },
    ]);
    // A failover makes the calls itself, and is told by EC2.
    if (code === 'permission' || code === 'kms-key-unusable') return;
    // A failover is refused for the same.
    const refusal = await failureOf(failOver(plan));
    expect(refusal).toMatchObject({
      type: 'NotReadyForFailover',
      message: expect.stringContaining(impossible[0]?.text ?? '') as string,
      details: [{ codes: [code] }],
    });
    const forceable = FORCEABLE.find((one) => one === code);
    if (forceable === undefined) {
      expect(refusal.message).not.toContain('--force');
      const [anyway] = [code] as (typeof FORCEABLE)[number][];
      expect(await failureOf(failOver(plan, { force: [anyway!] }))).toMatchObject({
        type: 'NotReadyForFailover',
      });
      return;
    }
    expect(refusal.message).toContain(`To go on all the same: --force ${forceable}`);
    const others = FORCEABLE.filter((one) => one !== forceable);
    expect(await failureOf(failOver(plan, { force: others }))).toMatchObject({ type: 'NotReadyForFailover' });
    expect(await failOver(plan, { force: [forceable] })).toMatchObject({
      overridden: [impossible[0]?.text],
      drCopies: [{ vm: plan.vms[0]!.name }],
    });
  });
});
