import { DescribeVolumesCommand } from '@aws-sdk/client-ec2';
import { ListHostedZonesCommand } from '@aws-sdk/client-route-53';
import { type AwsClients, awsClients } from '../../activities/aws-proxy/account/clients';
import { RequestBudgets } from '../../activities/aws-proxy/account/request-quotas';
import { startFailoverSite, type FailoverSite } from '../support/failover-site';
import { REGION } from '../../sandbox/aws/fixtures';

/** One layer retries: what a worker's client repeats by itself, and what it leaves to the activity. */
describe("a worker's clients of AWS", () => {
  let site: FailoverSite;
  let clients: AwsClients;
  /** Clients of a command, behind which no workflow stands. */
  let persistent: AwsClients;
  beforeAll(async () => {
    site = await startFailoverSite();
    const endpoint = await site.clients.ec2.config.endpoint!().then(urlOf);
    clients = awsClients({ region: REGION, endpoint, budgets: new RequestBudgets({ speed: 1000 }) });
    persistent = awsClients({
      region: REGION,
      endpoint,
      maxAttempts: 3,
      budgets: new RequestBudgets({ speed: 1000 }),
    });
  });
  afterAll(async () => {
    for (const one of [clients, persistent])
      for (const client of Object.values(one) as { destroy(): void }[]) client.destroy();
    await site.stop();
  });
  beforeEach(() => {
    // The waits are a random part of a bound.
    jest.spyOn(Math, 'random').mockReturnValue(0.01);
    site.faults.length = 0;
    site.calls.length = 0;
  });
  afterEach(() => jest.restoreAllMocks());
  const urlOf = ({ protocol, hostname, port }: { protocol: string; hostname: string; port?: number }) =>
    `${protocol}//${hostname}:${port}`;
  const made = (operation: string) => site.calls.filter((call) => call.operation === operation).length;

  it('wait out throttling', async () => {
    site.faults.push(
      { operation: 'DescribeVolumes', times: 5, code: 'RequestLimitExceeded' },
      { operation: 'ListHostedZones', times: 5, code: 'Throttling' },
    );
    await clients.ec2.send(new DescribeVolumesCommand({}));
    await clients.route53.send(new ListHostedZonesCommand({}));
    expect([made('DescribeVolumes'), made('ListHostedZones')]).toEqual([6, 6]);
  });

  it('end where it does not end', async () => {
    site.faults.push({ operation: 'DescribeVolumes', times: 1000, code: 'RequestLimitExceeded' });
    await expect(clients.ec2.send(new DescribeVolumesCommand({}))).rejects.toMatchObject({
      name: 'RequestLimitExceeded',
    });
    expect(made('DescribeVolumes')).toBe(9);
  });

  it.each(['InternalError', 'InsufficientInstanceCapacity', 'UnauthorizedOperation'])(
    'ask once where the answer is %s',
    async (code) => {
      site.faults.push({ operation: 'DescribeVolumes', times: 1000, code });
      await expect(clients.ec2.send(new DescribeVolumesCommand({}))).rejects.toMatchObject({ name: code });
      expect(made('DescribeVolumes')).toBe(1);
    },
  );

  it('of a command try again what passes by, and throttling no more often than a worker', async () => {
    site.faults.push({ operation: 'DescribeVolumes', times: 2, code: 'RequestTimeout' });
    await persistent.ec2.send(new DescribeVolumesCommand({}));
    expect(made('DescribeVolumes')).toBe(3);
    site.calls.length = 0;
    site.faults.push({ operation: 'DescribeVolumes', times: 1000, code: 'RequestLimitExceeded' });
    await expect(persistent.ec2.send(new DescribeVolumesCommand({}))).rejects.toMatchObject({
      name: 'RequestLimitExceeded',
    });
    expect(made('DescribeVolumes')).toBe(9);
  });
});
