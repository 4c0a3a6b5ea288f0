import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DeleteSnapshotCommand } from '@aws-sdk/client-ec2';
import { StartSnapshotCommand } from '@aws-sdk/client-ebs';
import { awsClients } from '../../activities/aws-proxy/account/clients';
import { stsClient } from '../../activities/aws-proxy/account/single-clients';
import { RequestBudgets } from '../../activities/aws-proxy/account/request-quotas';
import { checkAws } from '../../client/aws-check/check';
import { readExpected } from '../../client/aws-check/expected';
import { CHECK_TAG, type CheckedSite } from '../../client/aws-check/site';
import { repositoryClient } from '../../client/repository';
import { projectRoot } from '../../host/project-root';
import { loadPlanFile } from '../../plan/load';
import { ACCOUNT_ID } from '../../sandbox/aws/account';
import {
  PRODUCTION_SECURITY_GROUP_ID,
  PRODUCTION_SUBNET_ID,
  REGION,
  SHOP_BUCKET,
  SHOP_HOSTED_ZONE_ID,
  shopFixtures,
  TEST_SECURITY_GROUP_ID,
  TEST_SUBNET_ID,
} from '../../sandbox/aws/fixtures';
import { type Identities } from '../../sandbox/aws/iam/identities';
import { IDENTITIES_FILE } from '../../sandbox/aws/iam/identity-file';
import { type PolicyDocument } from '../../sandbox/aws/iam/policy-document';
import { readPolicy } from '../../sandbox/aws/iam/policy-files';
import { type RunningAwsEndpoint, startAwsEndpoint } from '../../sandbox/aws/start';

const ROOT = { accessKeyId: 'AKIAROOTROOTROOTROOT', secretAccessKey: 'root' };
const CHECKER = { accessKeyId: 'AKIACHECKCHECKCHECKX', secretAccessKey: 'check' };

const policy = (): PolicyDocument =>
  readPolicy('aws-check', {
    region: REGION,
    accountId: ACCOUNT_ID,
    plans: ['shop'],
    bucket: SHOP_BUCKET,
    prefix: 'dr/',
    subnets: [PRODUCTION_SUBNET_ID, TEST_SUBNET_ID],
    securityGroups: [PRODUCTION_SECURITY_GROUP_ID, TEST_SECURITY_GROUP_ID],
    hostedZones: [SHOP_HOSTED_ZONE_ID],
  });

/** Not asked in this account: what the check needs where there is no plan, no quota of its own, or a lock refuses by another code. */
const FOR_OTHER_ACCOUNTS = new Set([
  'ec2:DescribeLockedSnapshots',
  'route53:ListHostedZonesByName',
  'servicequotas:GetAWSDefaultServiceQuota',
]);

describe('who has deploy/iam/aws-check.json alone', () => {
  let directory: string;
  let running: RunningAwsEndpoint;
  afterEach(async () => {
    await running.close();
    await rm(directory, { recursive: true });
  });

  /** An account in which one user has the policy. */
  async function accountWith(policies: PolicyDocument[]): Promise<CheckedSite['clients']> {
    directory = await mkdtemp(join(tmpdir(), 'lifeboat-aws-'));
    const identities: Identities = { users: [{ name: 'checker', ...CHECKER, policies }], roles: [] };
    await writeFile(join(directory, IDENTITIES_FILE), JSON.stringify(identities));
    running = await startAwsEndpoint(
      {
        directory,
        listen: { host: '127.0.0.1', port: 0 },
        dns: { host: '127.0.0.1', port: 0 },
        region: REGION,
        ...ROOT,
        network: { id: '000000', runDirectory: directory },
        loopbackOctet: 1,
        deviceDirectory: join(directory, 'devices'),
        runner: 'no-boot',
        times: { volumeCreate: 0.05, snapshotComplete: 0.05, dnsPropagation: 0.1 },
        fixtures: shopFixtures(),
      },
      {},
    );
    return clientsOf(CHECKER);
  }

  function clientsOf(key: typeof ROOT): CheckedSite['clients'] {
    Object.assign(process.env, {
      AWS_ACCESS_KEY_ID: key.accessKeyId,
      AWS_SECRET_ACCESS_KEY: key.secretAccessKey,
    });
    const { endpoint } = running;
    const budgets = new RequestBudgets({ speed: 1000 });
    return {
      ...awsClients({ region: REGION, endpoint, budgets }),
      sts: stsClient({ region: REGION, endpoint }),
      s3: repositoryClient({ region: REGION, endpoint }),
    };
  }

  async function check(clients: CheckedSite['clients']) {
    const { plan } = await loadPlanFile(join(projectRoot(), 'examples/shop/plan.yaml'));
    const found = await checkAws(
      { clients, region: REGION, plan, repository: { bucket: SHOP_BUCKET, prefix: 'dr/' } },
      {
        expected: readExpected(),
        signal: new AbortController().signal,
        pollSeconds: 0.02,
        removalSeconds: 0.5,
        withTestResources: true,
        withLock: true,
        hostedZone: SHOP_HOSTED_ZONE_ID,
      },
    );
    for (const client of Object.values(clients) as { destroy(): void }[]) client.destroy();
    return found;
  }

  it('may ask all that the check asks, and remove what it makes', async () => {
    const found = await check(await accountWith([policy()]));
    expect(found.lines.filter(({ verdict }) => verdict !== 'ok')).toEqual([]);
    expect(found.lines.length).toBeGreaterThan(90);
    expect(found.after?.left).toEqual([]);
  });

  it('may not touch what no check has made', async () => {
    const clients = await accountWith([policy()]);
    const Tags = [{ Key: 'lifeboat:plan', Value: 'shop' }];
    await expect(clients.ebs.send(new StartSnapshotCommand({ VolumeSize: 1, Tags }))).rejects.toMatchObject({
      name: 'AccessDeniedException',
    });
    const root = clientsOf(ROOT);
    const { SnapshotId } = await root.ebs.send(new StartSnapshotCommand({ VolumeSize: 1, Tags }));
    const refused = clientsOf(CHECKER).ec2.send(new DeleteSnapshotCommand({ SnapshotId }));
    await expect(refused).rejects.toMatchObject({ name: 'UnauthorizedOperation' });
    expect(CHECK_TAG).toBe('lifeboat:aws-check');
  });

  const actions = [policy().Statement]
    .flat()
    .flatMap((statement, at) =>
      [statement.Action ?? []].flat().map((action): [string, number] => [action, at]),
    );
  // Each takes two seconds.
  const some =
    process.env.LIFEBOAT_LONG_TESTS === '1'
      ? actions
      : actions.filter(([action]) => action === 'ec2:LockSnapshot');
  it.each(some.filter(([action]) => !FOR_OTHER_ACCOUNTS.has(action)))(
    'needs %s of statement %d',
    async (action, at) => {
      const less = policy();
      const statements = [less.Statement].flat().flatMap((statement, index) => {
        const left = [statement.Action ?? []].flat().filter((one) => one !== action);
        return index !== at ? [statement] : left.length === 0 ? [] : [{ ...statement, Action: left }];
      });
      const found = await check(await accountWith([{ ...less, Statement: statements }]));
      expect(found.lines.some(({ verdict }) => verdict !== 'ok')).toBe(true);
    },
  );
});
