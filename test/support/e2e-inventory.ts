import {
  DescribeImagesCommand,
  DescribeNetworkInterfacesCommand,
  paginateDescribeInstances,
  paginateDescribeSnapshots,
  paginateDescribeVolumes,
  type Snapshot,
  type Tag,
} from '@aws-sdk/client-ec2';
import { ListHostedZonesCommand, ListResourceRecordSetsCommand } from '@aws-sdk/client-route-53';
import { type E2eSandbox } from './e2e-sandbox';

const tagText = (tags: Tag[] | undefined): string =>
  (tags ?? [])
    .map(({ Key, Value }) => `${Key}=${Value}`)
    .sort()
    .join(',');

/** Everything that can cost money in the account and is not terminated, a line each, sorted. */
export async function accountLines({ aws }: Pick<E2eSandbox, 'aws'>): Promise<string[]> {
  const lines: string[] = [];
  for await (const { Reservations = [] } of paginateDescribeInstances({ client: aws.ec2 }, {}))
    for (const { InstanceId, State, InstanceType, Tags } of Reservations.flatMap(
      (reservation) => reservation.Instances ?? [],
    ))
      if (State?.Name !== 'terminated')
        lines.push(`instance ${InstanceId} ${State?.Name} ${InstanceType} ${tagText(Tags)}`);
  for await (const { Volumes = [] } of paginateDescribeVolumes({ client: aws.ec2 }, {}))
    for (const { VolumeId, State, Tags } of Volumes)
      lines.push(`volume ${VolumeId} ${State} ${tagText(Tags)}`);
  for (const { SnapshotId, State, Tags } of await allSnapshots({ aws }))
    lines.push(`snapshot ${SnapshotId} ${State} ${tagText(Tags)}`);
  const { Images = [] } = await aws.ec2.send(new DescribeImagesCommand({ Owners: ['self'] }));
  for (const { ImageId, State, Tags } of Images) lines.push(`image ${ImageId} ${State} ${tagText(Tags)}`);
  const { NetworkInterfaces = [] } = await aws.ec2.send(new DescribeNetworkInterfacesCommand({}));
  for (const { NetworkInterfaceId, Status } of NetworkInterfaces)
    lines.push(`network-interface ${NetworkInterfaceId} ${Status}`);
  return lines.sort();
}

export async function allSnapshots({ aws }: Pick<E2eSandbox, 'aws'>): Promise<Snapshot[]> {
  const found: Snapshot[] = [];
  for await (const { Snapshots = [] } of paginateDescribeSnapshots(
    { client: aws.ec2 },
    { OwnerIds: ['self'] },
  ))
    found.push(...Snapshots);
  return found;
}

/** Both sites, DNS and the bucket with its objects' versions: what a run that was refused must leave as it was. */
export async function everything(sandbox: E2eSandbox): Promise<string[]> {
  const { aws, store } = sandbox;
  const { hypervisor } = sandbox.site;
  const lines = await accountLines(sandbox);
  const { HostedZones = [] } = await aws.route53.send(new ListHostedZonesCommand({}));
  for (const { Id } of HostedZones) {
    const { ResourceRecordSets = [] } = await aws.route53.send(
      new ListResourceRecordSetsCommand({ HostedZoneId: Id }),
    );
    for (const { Name, Type, TTL, ResourceRecords = [] } of ResourceRecordSets)
      lines.push(`record ${Name} ${Type} ${TTL} ${ResourceRecords.map(({ Value }) => Value).join(' ')}`);
  }
  for await (const { key } of store.list('')) lines.push(`object ${key} ${(await store.get(key))?.etag}`);
  for (const vm of await hypervisor.listVms())
    lines.push(`vm ${JSON.stringify(await hypervisor.describeVm(vm))}`);
  return lines;
}
