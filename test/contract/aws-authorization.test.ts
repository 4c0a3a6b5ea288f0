import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { EBSClient, ListSnapshotBlocksCommand, StartSnapshotCommand } from '@aws-sdk/client-ebs';
import {
  CreateTagsCommand,
  CreateVolumeCommand,
  DeleteVolumeCommand,
  DescribeVolumesCommand,
  EC2Client,
  LockSnapshotCommand,
  RunInstancesCommand,
} from '@aws-sdk/client-ec2';
import { GetInstanceProfileCommand, IAMClient } from '@aws-sdk/client-iam';
import { DescribeKeyCommand, KMSClient } from '@aws-sdk/client-kms';
import { ChangeResourceRecordSetsCommand, Route53Client } from '@aws-sdk/client-route-53';
import { GetObjectCommand, PutObjectCommand, S3Client } from '@aws-sdk/client-s3';
import { GetServiceQuotaCommand, ServiceQuotasClient } from '@aws-sdk/client-service-quotas';
import { PublishCommand, SNSClient } from '@aws-sdk/client-sns';
import { GetCallerIdentityCommand, STSClient } from '@aws-sdk/client-sts';
import { toFailure } from '../../activities/failures';
import {
  PROXY_AVAILABILITY_ZONE,
  REGION,
  SHOP_BUCKET,
  SHOP_HOSTED_ZONE_ID,
  SHOP_INSTANCE_PROFILE,
  TEST_SECURITY_GROUP_ID,
  TEST_SUBNET_ID,
} from '../../sandbox/aws/fixtures';
import { CALLS } from '../../sandbox/aws/iam/calls/calls';
import { IDENTITIES_FILE } from '../../sandbox/aws/iam/identity-file';
import { type PolicyDocument } from '../../sandbox/aws/iam/policy-document';
import { readPolicy } from '../../sandbox/aws/iam/policy-files';
import { RECORDED_VALUES } from '../support/iam/recorded';
import { AwsHarness, failure } from './aws-harness';

const aws = new AwsHarness();
const ACCOUNT = '000000000000';

const user = (name: string, ...policies: PolicyDocument[]) => ({
  name,
  accessKeyId: `AKIA${name.toUpperCase()}`,
  secretAccessKey: `secret of ${name}`,
  policies,
});
const proxy = user('proxy', readPolicy('aws-proxy', RECORDED_VALUES));
const nobody = user('nobody');
const denied = user(
  'denied',
  { Version: '2012-10-17', Statement: { Effect: 'Allow', Action: '*', Resource: '*' } },
  { Version: '2012-10-17', Statement: { Effect: 'Deny', Action: 'ec2:Describe*', Resource: '*' } },
);

beforeAll(async () => {
  await aws.start();
  const identities = { users: [proxy, nobody, denied], roles: [] };
  writeFileSync(join(aws.config.directory, IDENTITIES_FILE), JSON.stringify(identities));
});
afterAll(() => aws.stop());

const settings = (who: typeof proxy) => ({
  ...aws.clientSettings(),
  credentials: { accessKeyId: who.accessKeyId, secretAccessKey: who.secretAccessKey },
});
const ec2 = (who = proxy) => new EC2Client(settings(who));
const s3 = (who = proxy) => new S3Client({ ...settings(who), forcePathStyle: true });
const plan = (name: string) => [{ Key: 'lifeboat:plan', Value: name }];
const volumeOf = async (Tags: { Key: string; Value: string }[]): Promise<string> => {
  const { VolumeId = '' } = await aws.ec2().send(
    new CreateVolumeCommand({
      AvailabilityZone: PROXY_AVAILABILITY_ZONE,
      Size: 1,
      ...(Tags.length === 0 ? {} : { TagSpecifications: [{ ResourceType: 'volume', Tags }] }),
    }),
  );
  return VolumeId;
};

describe('what a policy does not allow', () => {
  it('is refused by EC2 in its words, which the product takes for a permission', async () => {
    const VolumeId = await volumeOf(plan('crm'));
    const refused = await failure(ec2().send(new DeleteVolumeCommand({ VolumeId })));
    const who = `arn:aws:iam::${ACCOUNT}:user/proxy`;
    const what = `arn:aws:ec2:${REGION}:${ACCOUNT}:volume/${VolumeId}`;
    expect(refused).toMatchObject({ name: 'UnauthorizedOperation', status: 403 });
    expect(refused.message).toContain(
      `You are not authorized to perform this operation. User: ${who} is not authorized to perform: ec2:DeleteVolume ` +
        `on resource: ${what} because no identity-based policy allows the ec2:DeleteVolume action.`,
    );
    expect(refused.message).toMatch(/Encoded authorization failure message: [\w-]{20,}$/);
    const error = await ec2()
      .send(new DeleteVolumeCommand({ VolumeId }))
      .catch((thrown: unknown) => thrown);
    expect(toFailure(error, 'delete a volume').type).toBe('NotPermitted');
  });

  it('says where a policy denies it', async () => {
    const refused = await failure(ec2(denied).send(new DescribeVolumesCommand({})));
    expect(refused.message).toContain('with an explicit deny in an identity-based policy');
  });

  it.each<[string, () => Promise<unknown>, object]>([
    [
      'EBS direct',
      () =>
        new EBSClient(settings(nobody)).send(
          new ListSnapshotBlocksCommand({ SnapshotId: 'snap-00000000000000001' }),
        ),
      { name: 'AccessDeniedException', status: 403 },
    ],
    [
      'S3',
      () => s3(nobody).send(new PutObjectCommand({ Bucket: SHOP_BUCKET, Key: 'dr/a', Body: 'a' })),
      { name: 'AccessDenied', status: 403 },
    ],
    [
      'Route 53',
      () =>
        new Route53Client(settings(nobody)).send(
          new ChangeResourceRecordSetsCommand({
            HostedZoneId: SHOP_HOSTED_ZONE_ID,
            ChangeBatch: {
              Changes: [
                {
                  Action: 'DELETE',
                  ResourceRecordSet: {
                    Name: 'www.shop.example',
                    Type: 'A',
                    TTL: 60,
                    ResourceRecords: [{ Value: '10.0.0.1' }],
                  },
                },
              ],
            },
          }),
        ),
      { name: 'AccessDenied', status: 403 },
    ],
    [
      'IAM',
      () =>
        new IAMClient(settings(nobody)).send(
          new GetInstanceProfileCommand({ InstanceProfileName: SHOP_INSTANCE_PROFILE }),
        ),
      { name: 'AccessDenied', status: 403 },
    ],
    [
      'KMS',
      () => new KMSClient(settings(nobody)).send(new DescribeKeyCommand({ KeyId: '1' })),
      { name: 'AccessDeniedException', status: 400 },
    ],
    [
      'Service Quotas',
      () =>
        new ServiceQuotasClient(settings(nobody)).send(
          new GetServiceQuotaCommand({ ServiceCode: 'ec2', QuotaCode: 'L-1216C47A' }),
        ),
      { name: 'AccessDeniedException', status: 400 },
    ],
    [
      'SNS',
      () =>
        new SNSClient(settings(nobody)).send(
          new PublishCommand({ TopicArn: `arn:aws:sns:${REGION}:${ACCOUNT}:lifeboat-shop`, Message: 'a' }),
        ),
      { name: 'AuthorizationErrorException', status: 403 },
    ],
  ])('is refused by %s by its own code', async (_service, call, expected) => {
    const refused = await failure(call());
    expect(refused).toMatchObject(expected);
    expect(refused.message).toMatch(
      /^User: arn:aws:iam::000000000000:user\/nobody is not authorized to perform: \w+:/,
    );
  });

  it('is refused before DryRun answers', async () => {
    const ask = (tags: string) =>
      failure(
        ec2().send(
          new CreateVolumeCommand({
            DryRun: true,
            AvailabilityZone: PROXY_AVAILABILITY_ZONE,
            Size: 1,
            TagSpecifications: [{ ResourceType: 'volume', Tags: plan(tags) }],
          }),
        ),
      );
    expect((await ask('shop')).name).toBe('DryRunOperation');
    expect((await ask('crm')).name).toBe('UnauthorizedOperation');
  });

  it('is done by nobody: nothing of it has happened', async () => {
    const VolumeId = await volumeOf([]);
    await failure(ec2().send(new CreateTagsCommand({ Resources: [VolumeId], Tags: plan('shop') })));
    const { Volumes } = await aws.ec2().send(new DescribeVolumesCommand({ VolumeIds: [VolumeId] }));
    expect(Volumes?.[0]?.Tags ?? []).toEqual([]);
  });

  it('is refused for one of several resources of a call', async () => {
    const volumes = [await volumeOf(plan('shop')), await volumeOf(plan('crm'))];
    const tag = (Resources: string[]) =>
      ec2().send(new CreateTagsCommand({ Resources, Tags: [{ Key: 'lifeboat:disk', Value: 'data' }] }));
    await tag(volumes.slice(0, 1));
    expect((await failure(tag(volumes))).name).toBe('UnauthorizedOperation');
  });

  it('includes what is asked for on the way: tags, subnets, the role of a profile', async () => {
    const launch = (IamInstanceProfile: { Name: string } | undefined, subnet = TEST_SUBNET_ID) =>
      failure(
        ec2().send(
          new RunInstancesCommand({
            ...{
              DryRun: true,
              MinCount: 1,
              MaxCount: 1,
              ImageId: 'ami-0a11fe00000000001',
              InstanceType: 'm6i.large',
            },
            IamInstanceProfile,
            NetworkInterfaces: [{ DeviceIndex: 0, SubnetId: subnet, Groups: [TEST_SECURITY_GROUP_ID] }],
            TagSpecifications: (['instance', 'volume', 'network-interface'] as const).map((ResourceType) => ({
              ResourceType,
              Tags: plan('shop'),
            })),
          }),
        ),
      );
    expect((await launch({ Name: SHOP_INSTANCE_PROFILE })).name).toBe('DryRunOperation');
    expect((await launch({ Name: 'admin' })).message).toContain(
      'not authorized to perform: iam:PassRole on resource: arn:aws:iam::000000000000:role/admin',
    );
    expect((await launch(undefined, 'subnet-0a11fe000000000ff')).name).not.toBe('DryRunOperation');
  });

  it('is a snapshot locked for other than the days of the plan', async () => {
    const { SnapshotId = '' } = await aws.ebs().send(
      new StartSnapshotCommand({
        VolumeSize: 1,
        Tags: [...plan('shop'), { Key: 'lifeboat:role', Value: 'dr-copy' }],
      }),
    );
    const lock = (LockDuration: number) =>
      failure(
        ec2().send(
          new LockSnapshotCommand({ SnapshotId, LockMode: 'governance', LockDuration, DryRun: true }),
        ),
      );
    expect((await lock(1)).name).toBe('DryRunOperation');
    expect((await lock(36_500)).name).toBe('UnauthorizedOperation');
  });
});

describe('what is not there', () => {
  it('is told to who may look for it', async () => {
    const Key = 'dr/nothing';
    expect((await failure(s3().send(new GetObjectCommand({ Bucket: SHOP_BUCKET, Key })))).name).toBe(
      'NoSuchKey',
    );
    const mayNotList = user('blind', {
      Version: '2012-10-17',
      Statement: { Effect: 'Allow', Action: 's3:GetObject', Resource: '*' },
    });
    writeFileSync(
      join(aws.config.directory, IDENTITIES_FILE),
      JSON.stringify({ users: [proxy, nobody, denied, mayNotList], roles: [] }),
    );
    const refused = await failure(s3(mayNotList).send(new GetObjectCommand({ Bucket: SHOP_BUCKET, Key })));
    expect(refused).toMatchObject({ name: 'AccessDenied', status: 403 });
  });

  it('is told to who may remove such things, and refused to others', async () => {
    const gone = new DeleteVolumeCommand({ VolumeId: 'vol-000000000000000ff' });
    expect((await failure(ec2().send(gone))).name).toBe('InvalidVolume.NotFound');
    expect((await failure(ec2(nobody).send(gone))).name).toBe('UnauthorizedOperation');
  });
});

it('does not begin with an operation of which nobody has said what it asks for', async () => {
  const calls = CALLS['sns'] as Record<string, unknown>;
  const { Publish } = calls;
  const another = new AwsHarness();
  delete calls['Publish'];
  try {
    await expect(another.start()).rejects.toThrow('does not say what sns:Publish asks of policies');
  } finally {
    calls['Publish'] = Publish;
    await another.stop();
  }
});

it('is told to everybody who they are', async () => {
  const { Arn } = await new STSClient(settings(nobody)).send(new GetCallerIdentityCommand({}));
  expect(Arn).toBe(`arn:aws:iam::${ACCOUNT}:user/nobody`);
});
