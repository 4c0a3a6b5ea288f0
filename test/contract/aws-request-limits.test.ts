import { CompleteSnapshotCommand } from '@aws-sdk/client-ebs';
import { DescribeImagesCommand, DescribeVolumesCommand, StartInstancesCommand } from '@aws-sdk/client-ec2';
import { ListHostedZonesCommand } from '@aws-sdk/client-route-53';
import { readRequestCounts } from '../../sandbox/aws/request-counts';
import { AwsHarness, failure } from './aws-harness';

describe('request limits of the endpoint', () => {
  let aws: AwsHarness;
  beforeEach(() => {
    aws = new AwsHarness();
  });
  afterEach(() => aws.stop());
  const start = () => failure(aws.ec2().send(new StartInstancesCommand({ InstanceIds: ['i-00000000'] })));

  it('refuse in the words of the services, and are counted, over a restart too', async () => {
    // A token comes back after hours, so that the machine's speed does not matter.
    aws.config.limits = { requests: { speed: 1e-4 } };
    await aws.start();
    for (let n = 0; n < 5; n++) expect((await start()).name).toBe('InvalidInstanceID.NotFound');
    expect(await start()).toMatchObject({ name: 'RequestLimitExceeded', status: 503 });
    for (let n = 0; n < 5; n++) await aws.route53().send(new ListHostedZonesCommand({}));
    expect(await failure(aws.route53().send(new ListHostedZonesCommand({})))).toMatchObject({
      name: 'Throttling',
      status: 400,
    });
    const complete = () =>
      failure(aws.ebs().send(new CompleteSnapshotCommand({ SnapshotId: 'snap-1', ChangedBlocksCount: 0 })));
    for (let n = 0; n < 10; n++) expect((await complete()).name).toBe('ResourceNotFoundException');
    expect(await complete()).toMatchObject({ name: 'RequestThrottledException', status: 400 });
    await aws.restart();
    await aws.ec2().send(new DescribeImagesCommand({ Owners: ['self'] }));
    await aws.ec2().send(new DescribeVolumesCommand({}));
    await aws.ec2().send(new DescribeVolumesCommand({ MaxResults: 5 }));
    await aws.restart();
    expect(readRequestCounts(aws.config.directory)).toEqual({
      'ec2:StartInstances': { admitted: 5, refused: 1 },
      'route53:ListHostedZones': { admitted: 5, refused: 1 },
      'ebs:CompleteSnapshot': { admitted: 10, refused: 1 },
      'ec2:DescribeImages': { admitted: 1, refused: 0 },
      'ec2:DescribeVolumes (unfiltered)': { admitted: 1, refused: 0 },
      'ec2:DescribeVolumes': { admitted: 1, refused: 0 },
    });
  });

  it('are none unless asked for', async () => {
    await aws.start();
    for (let n = 0; n < 20; n++) expect((await start()).name).toBe('InvalidInstanceID.NotFound');
  });
});
