import { ListSnapshotBlocksCommand } from '@aws-sdk/client-ebs';
import {
  CreateVolumeCommand,
  DescribeImagesCommand,
  DescribeInstancesCommand,
  DescribeSnapshotsCommand,
  DescribeSubnetsCommand,
  DescribeVolumesCommand,
  GetEbsEncryptionByDefaultCommand,
  type Subnet,
} from '@aws-sdk/client-ec2';
import { encryptionFindings } from '../../activities/aws-proxy/readiness/dr-copy-state';
import { findTypes, typeFindings } from '../../activities/aws-proxy/readiness/instance-types';
import {
  findSite,
  networkFindings,
  placedVms,
  type Site,
  subnetsIn,
} from '../../activities/aws-proxy/readiness/network';
import { vpcEndpointFindings } from '../../activities/aws-proxy/readiness/s3-endpoint';
import { type DrPlan } from '../../plan/schema';
import { type TriedPlace } from './place';
import { type Questions, texts } from './questions';
import { type CheckedSite, checkTags } from './site';

/** Ids that nothing has. */
const NOTHING = '0'.repeat(17);
/** Without a plan. Offered in every Region. */
const SOME_TYPE = 't3.medium';
/** Subnets, groups, instance types and the S3 endpoint, of the plan or of whatever the account has. */
export async function askNetwork(
  questions: Questions,
  { clients, plan, region }: CheckedSite,
): Promise<TriedPlace | undefined> {
  const { ec2 } = clients;
  const question = {
    id: 'ec2.network',
    about: 'subnets and security groups are there',
    action: 'ec2:DescribeSubnets',
  };
  let site: Site | undefined;
  if (plan === undefined) {
    await questions.find({ ...question, about: 'EC2 lists subnets' }, async () => {
      const { Subnets = [] } = await ec2.send(new DescribeSubnetsCommand({ MaxResults: 5 }));
      site = { subnets: Subnets, groups: [] };
      return { wrong: Subnets.length === 0 ? ['The account has no subnet in this Region.'] : [] };
    });
    return placeIn(site?.subnets ?? [], undefined);
  }
  const { production, test } = plan.recoverySite;
  await questions.find(question, async () => {
    const placed = { production: placedVms(plan, false), test: placedVms(plan, true) };
    const found = await findSite(ec2, [
      production,
      test,
      ...[...placed.production, ...placed.test].map((one) => one.site),
    ]);
    site = found;
    return {
      wrong: [
        ...networkFindings(production, placed.production, found),
        ...networkFindings(test, placed.test, found),
      ],
    };
  });
  if (site === undefined) return undefined;
  const known = site;
  await questions.find(
    {
      id: 'ec2.types',
      about: 'the instance types are offered there',
      action: 'ec2:DescribeInstanceTypeOfferings',
    },
    async () => {
      const zones = subnetsIn(known, production).flatMap(({ AvailabilityZone }) => AvailabilityZone ?? []);
      const types = await findTypes(ec2, plan, [...new Set(zones)]);
      const places = new Map(plan.vms.map(({ name }) => [name, { zones, addresses: 1 }]));
      return { wrong: typeFindings(types, plan, [], places) };
    },
  );
  for (const vpc of new Set(subnetsIn(known, production).flatMap(({ VpcId }) => VpcId ?? [])))
    await questions.find(
      {
        id: 's3.endpoint',
        about: `the network ${vpc} has an S3 endpoint`,
        action: 'ec2:DescribeVpcEndpoints',
      },
      async () => texts(await vpcEndpointFindings(ec2, region, { vpc, subnet: undefined })),
    );
  return placeIn(subnetsIn(known, test), plan);
}

function placeIn([subnet]: Subnet[], plan: DrPlan | undefined): TriedPlace | undefined {
  if (subnet?.SubnetId === undefined || subnet.AvailabilityZone === undefined) return undefined;
  return {
    subnet: subnet.SubnetId,
    availabilityZone: subnet.AvailabilityZone,
    securityGroups: plan?.recoverySite.test.securityGroups,
    instanceType: plan?.vms[0]?.instanceTypes[0] ?? SOME_TYPE,
  };
}

/** What may be done in EC2, and how it says that something is not there. */
export async function askEc2(
  questions: Questions,
  { clients, plan }: CheckedSite,
  place: TriedPlace | undefined,
): Promise<void> {
  const { ec2 } = clients;
  const about = { snapshot: 'a snapshot', volume: 'a volume', instance: 'an instance', image: 'an image' };
  const absent = (id: string, what: string, action: string, call: () => Promise<object>) =>
    questions.ask({ id, about: `EC2 says that ${what} is not there`, action, call });
  await absent('ec2.no-snapshot', about.snapshot, 'ec2:DescribeSnapshots', () =>
    ec2.send(new DescribeSnapshotsCommand({ SnapshotIds: [`snap-${NOTHING}`] })),
  );
  await absent('ec2.no-volume', about.volume, 'ec2:DescribeVolumes', () =>
    ec2.send(new DescribeVolumesCommand({ VolumeIds: [`vol-${NOTHING}`] })),
  );
  await absent('ec2.no-instance', about.instance, 'ec2:DescribeInstances', () =>
    ec2.send(new DescribeInstancesCommand({ InstanceIds: [`i-${NOTHING}`] })),
  );
  await absent('ec2.no-image', about.image, 'ec2:DescribeImages', () =>
    ec2.send(new DescribeImagesCommand({ ImageIds: [`ami-${NOTHING}`] })),
  );
  const volume = {
    id: 'ec2.may-create-volume',
    about: 'a volume may be made (dry run)',
    action: 'ec2:CreateVolume',
  };
  if (place === undefined) questions.tell(volume, 'not asked', 'There is no subnet that says in which zone.');
  else
    await questions.ask({
      ...volume,
      call: () =>
        ec2.send(
          new CreateVolumeCommand({
            DryRun: true,
            AvailabilityZone: place.availabilityZone,
            Size: 1,
            VolumeType: 'gp3',
            TagSpecifications: [{ ResourceType: 'volume', Tags: checkTags('c-dry-run') }],
          }),
        ),
    });
  await questions.find(
    {
      id: 'ec2.encryption',
      about: 'encryption by default suits the plan',
      action: 'ec2:GetEbsEncryptionByDefault',
    },
    async () => {
      const { EbsEncryptionByDefault = false } = await ec2.send(new GetEbsEncryptionByDefaultCommand({}));
      const detail = `It is ${EbsEncryptionByDefault ? 'on' : 'off'}.`;
      return {
        ...texts(plan === undefined ? [] : encryptionFindings(EbsEncryptionByDefault, plan, [])),
        detail,
      };
    },
  );
}

export async function askEbs(questions: Questions, { clients }: CheckedSite): Promise<void> {
  await questions.ask({
    id: 'ebs.no-snapshot',
    about: 'EBS direct answers, and says that a snapshot is not there',
    action: 'ebs:ListSnapshotBlocks',
    call: () => clients.ebs.send(new ListSnapshotBlocksCommand({ SnapshotId: `snap-${NOTHING}` })),
  });
}
