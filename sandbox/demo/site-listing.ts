import {
  type EC2Client,
  paginateDescribeImages,
  paginateDescribeInstances,
  paginateDescribeNetworkInterfaces,
  paginateDescribeSnapshots,
  paginateDescribeVolumes,
} from '@aws-sdk/client-ec2';
import { ListResourceRecordSetsCommand, type Route53Client, type RRType } from '@aws-sdk/client-route-53';
import { awsClients } from '../../activities/aws-proxy/account/clients';
import { readTags } from '../../activities/aws-proxy/account/tags';
import { siteStatus } from '../../client/site-status';
import { type DrPlan } from '../../plan/schema';
import { type ObjectStore } from '../../repository/objects/object-store';
import { SHOP_NAME } from '../application';
import { SHOP_HOSTED_ZONE_ID } from '../aws/fixtures';
import { type SandboxConfig } from '../config';
import { siteOf } from '../datacenter/site-of';
import { PROXY_INSTANCE_IDS } from '../aws/fixtures';
import { clientEnvironment } from '../supervisor/processes';
import { type Expected, findLeftovers, type SiteListing } from './leftovers';

/** What both sites hold beyond a protected application: asked of the AWS endpoint and read from the data centre. */
export async function listLeftovers(
  config: SandboxConfig,
  plan: DrPlan,
  store: ObjectStore,
): Promise<string[]> {
  const { ec2, route53 } = awsClients({
    region: config.region,
    endpoint: clientEnvironment(config).AWS_ENDPOINT_URL,
    // All that there is, also what no role of Lifeboat's may see.
    credentials: { accessKeyId: config.accessKeyId, secretAccessKey: config.secretAccessKey },
    maxAttempts: 3,
  });
  try {
    const listing = { ...(await listAws(ec2, route53)), vms: await siteOf(config).list() };
    return findLeftovers(listing, await expectedOf(plan, ec2, store));
  } finally {
    ec2.destroy();
    route53.destroy();
  }
}

async function expectedOf(plan: DrPlan, ec2: EC2Client, store: ObjectStore): Promise<Expected> {
  const { vms } = await siteStatus(plan, { ec2, store });
  return {
    instances: PROXY_INSTANCE_IDS,
    snapshots: vms.flatMap(({ vm, drCopy, launchCopy }) => {
      if (drCopy === undefined) throw new Error(`The recovery site has no DR copy of ${vm}.`);
      return [...drCopy.disks, ...(launchCopy?.snapshots ?? [])].map(({ snapshotId }) => snapshotId);
    }),
    dnsRecords: [`${SHOP_NAME}. A`],
    vms: plan.vms.map(({ name }) => name),
  };
}

async function listAws(ec2: EC2Client, route53: Route53Client): Promise<Omit<SiteListing, 'vms'>> {
  const own = { OwnerIds: ['self'] };
  const instances = await all(paginateDescribeInstances({ client: ec2 }, {}), (page) =>
    page.Reservations?.flatMap(({ Instances }) => Instances ?? []),
  );
  const volumes = await all(paginateDescribeVolumes({ client: ec2 }, {}), (page) => page.Volumes);
  const snapshots = await all(paginateDescribeSnapshots({ client: ec2 }, own), (page) => page.Snapshots);
  const images = await all(
    paginateDescribeImages({ client: ec2 }, { Owners: ['self'] }),
    (page) => page.Images,
  );
  const cards = await all(
    paginateDescribeNetworkInterfaces({ client: ec2 }, {}),
    (page) => page.NetworkInterfaces,
  );
  return {
    instances: instances
      .map(({ InstanceId, State }) => ({ id: InstanceId ?? '', state: State?.Name ?? '' }))
      // EC2 shows terminated instances for about an hour more.
      .filter(({ state }) => state !== 'terminated'),
    volumes: volumes.map(({ VolumeId, State }) => ({ id: VolumeId ?? '', state: State ?? '' })),
    snapshots: snapshots.map(({ SnapshotId }) => ({ id: SnapshotId ?? '' })),
    images: images.map(({ ImageId, Tags, BlockDeviceMappings }) => ({
      id: ImageId ?? '',
      isShell: readTags(Tags, ['role'])?.role === 'shell',
      snapshots: (BlockDeviceMappings ?? []).flatMap(({ Ebs }) => Ebs?.SnapshotId ?? []),
    })),
    networkInterfaces: cards.map(({ NetworkInterfaceId, Attachment }) => ({
      id: NetworkInterfaceId ?? '',
      instance: Attachment?.InstanceId,
    })),
    dnsRecords: await listRecords(route53),
  };
}

async function all<Page, Item>(
  pages: AsyncIterable<Page>,
  items: (page: Page) => Item[] | undefined,
): Promise<Item[]> {
  const found: Item[] = [];
  for await (const page of pages) found.push(...(items(page) ?? []));
  return found;
}

/** Names and types of the zone's records, but for those that come and go with the zone. */
async function listRecords(route53: Route53Client): Promise<string[]> {
  const found: string[] = [];
  let start: { StartRecordName?: string; StartRecordType?: RRType; StartRecordIdentifier?: string } = {};
  for (;;) {
    const page = await route53.send(
      new ListResourceRecordSetsCommand({ HostedZoneId: SHOP_HOSTED_ZONE_ID, ...start }),
    );
    for (const { Name, Type } of page.ResourceRecordSets ?? [])
      if (Type !== 'NS' && Type !== 'SOA') found.push(`${Name} ${Type}`);
    if (page.IsTruncated !== true) return found;
    start = {
      StartRecordName: page.NextRecordName,
      StartRecordType: page.NextRecordType,
      StartRecordIdentifier: page.NextRecordIdentifier,
    };
  }
}
