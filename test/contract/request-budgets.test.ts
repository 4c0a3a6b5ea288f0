import { CompleteSnapshotCommand, type EBSClient, GetSnapshotBlockCommand } from '@aws-sdk/client-ebs';
import { DescribeVolumesCommand, type EC2Client, StartInstancesCommand } from '@aws-sdk/client-ec2';
import { ListHostedZonesCommand, type Route53Client } from '@aws-sdk/client-route-53';
import { awsClients } from '../../activities/aws-proxy/account/clients';
import { RequestBudgets } from '../../activities/aws-proxy/account/request-quotas';
import { requestTally } from '../../blocks/limits/request-tally';
import { waitFor } from '../../activities/aws-proxy/account/waiting';
import { type Limits } from '../../sandbox/aws/limits';
import { readRequestCounts } from '../../sandbox/aws/request-counts';
import { quietEnvironment } from '../support/failover-site';
import { AwsHarness, failure } from './aws-harness';

/** The clients of a proxy at an endpoint that enforces AWS's buckets, both of which refill so many times as fast. */
describe('requests of a proxy', () => {
  let aws: AwsHarness;
  let ec2: EC2Client;
  let route53: Route53Client;
  let ebs: EBSClient;

  async function start(speed: number, limits: Limits = { requests: { speed } }): Promise<void> {
    aws = new AwsHarness();
    aws.config.limits = limits;
    await aws.start();
    process.env.AWS_ACCESS_KEY_ID = aws.config.accessKeyId;
    process.env.AWS_SECRET_ACCESS_KEY = aws.config.secretAccessKey;
    // A machine that stands still for a while between a request and its arrival is no refusal.
    const budgets = new RequestBudgets({ speed, arrivalSeconds: Infinity });
    const { region } = aws.config;
    ({ ec2, route53, ebs } = awsClients({ region, endpoint: aws.endpoint.endpoint, budgets }));
  }
  afterEach(async () => {
    ec2.destroy();
    route53.destroy();
    ebs.destroy();
    await aws.stop();
  });

  /** RunInstances has the same bucket; this one leaves nothing behind. */
  const startInstance = () =>
    failure(ec2.send(new StartInstancesCommand({ InstanceIds: ['i-0123456789abcdef0'] })));

  it('wait for their turn, all of them at once, and none is refused', async () => {
    await start(10);
    const results = await Promise.all([
      ...Array.from({ length: 40 }, startInstance),
      ...Array.from({ length: 20 }, () => route53.send(new ListHostedZonesCommand({}))),
      ...Array.from({ length: 80 }, () => ec2.send(new DescribeVolumesCommand({}))),
      ...Array.from({ length: 120 }, () => ec2.send(new DescribeVolumesCommand({ MaxResults: 5 }))),
    ]);
    expect(new Set(results.slice(0, 40).map((result) => (result as { name: string }).name))).toEqual(
      new Set(['InvalidInstanceID.NotFound']),
    );
    await aws.restart();
    expect(readRequestCounts(aws.config.directory)).toEqual({
      'ec2:StartInstances': { admitted: 40, refused: 0 },
      'route53:ListHostedZones': { admitted: 20, refused: 0 },
      'ec2:DescribeVolumes (unfiltered)': { admitted: 80, refused: 0 },
      'ec2:DescribeVolumes': { admitted: 120, refused: 0 },
    });
  });

  it('wait where EBS direct takes ten a second, of which hundreds of disks are completed', async () => {
    await start(10);
    const SnapshotId = 'snap-0123456789abcdef0';
    const results = await Promise.all([
      ...Array.from({ length: 60 }, () =>
        failure(ebs.send(new CompleteSnapshotCommand({ SnapshotId, ChangedBlocksCount: 0 }))),
      ),
      // Blocks are limited by their own rates.
      ...Array.from({ length: 60 }, () =>
        failure(ebs.send(new GetSnapshotBlockCommand({ SnapshotId, BlockIndex: 0, BlockToken: 'none' }))),
      ),
    ]);
    expect(new Set(results.map(({ name }) => name))).toEqual(new Set(['ResourceNotFoundException']));
    await aws.restart();
    expect(readRequestCounts(aws.config.directory)).toEqual({
      'ebs:CompleteSnapshot': { admitted: 60, refused: 0 },
      'ebs:GetSnapshotBlock': { admitted: 60, refused: 0 },
    });
  });

  it('are made again where EBS direct refuses a block, which copies use up the rate of', async () => {
    await start(1, { ebsDirect: { getPerSecond: 5 } });
    const asked = await Promise.all(
      Array.from({ length: 4 }, (_, BlockIndex) =>
        failure(
          ebs.send(new GetSnapshotBlockCommand({ SnapshotId: 'snap-1', BlockIndex, BlockToken: 'none' })),
        ),
      ),
    );
    expect(asked.map(({ name }) => name)).toEqual(Array(4).fill('ResourceNotFoundException'));
    await aws.restart();
    const { admitted, refused } = readRequestCounts(aws.config.directory)['ebs:GetSnapshotBlock'] ?? {};
    expect(admitted).toBe(4);
    expect(refused).toBeGreaterThan(0);
  });

  it('are counted as AWS counts them, those that it refuses among them', async () => {
    await start(10);
    const { region } = aws.config;
    // Another proxy, which knows of no limit.
    const greedy = awsClients({
      region,
      endpoint: aws.endpoint.endpoint,
      budgets: new RequestBudgets({ speed: 10_000 }),
    });
    requestTally.take();
    await Promise.all([
      ...Array.from({ length: 30 }, () => greedy.route53.send(new ListHostedZonesCommand({}))),
      ...Array.from({ length: 5 }, () => ec2.send(new DescribeVolumesCommand({ MaxResults: 5 }))),
    ]);
    greedy.route53.destroy();
    const counts = requestTally.take();
    await aws.restart();
    const zones = readRequestCounts(aws.config.directory)['route53:ListHostedZones'] ?? {
      admitted: 0,
      refused: 0,
    };
    expect(zones.admitted).toBe(30);
    expect(zones.refused).toBeGreaterThan(0);
    expect(counts).toEqual([
      {
        service: 'route53',
        action: 'ListHostedZones',
        made: zones.admitted + zones.refused,
        throttled: zones.refused,
      },
      { service: 'ec2', action: 'DescribeVolumes', made: 5, throttled: 0 },
    ]);
  });

  it('are not made any more for whoever is cancelled, but for putting things in order', async () => {
    // The next token comes after minutes.
    await start(0.001);
    await Promise.all(Array.from({ length: 5 }, startInstance));
    const environment = quietEnvironment();
    const waiting = environment.run(startInstance).catch((error: unknown) => error);
    environment.cancel();
    expect(await waiting).toMatchObject({ name: 'CancelledFailure' });

    const inOrder = quietEnvironment();
    const order: string[] = [];
    const uncancelled = inOrder.run(() =>
      waitFor(
        'a test',
        async () => {
          inOrder.cancel();
          await ec2.send(new DescribeVolumesCommand({}));
          order.push('asked');
          return true;
        },
        { uncancelled: true },
      ),
    );
    await uncancelled;
    expect(order).toEqual(['asked']);
  });
});
