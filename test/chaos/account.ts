import {
  CreateTagsCommand,
  DeleteSnapshotCommand,
  DeleteVolumeCommand,
  DeregisterImageCommand,
  DescribeInstanceAttributeCommand,
  EC2Client,
  paginateDescribeImages,
  paginateDescribeInstances,
  paginateDescribeSnapshots,
  paginateDescribeVolumes,
  type Tag,
  TerminateInstancesCommand,
} from '@aws-sdk/client-ec2';
import { EBSClient } from '@aws-sdk/client-ebs';
import {
  ChangeResourceRecordSetsCommand,
  ListResourceRecordSetsCommand,
  type ResourceRecordSet,
  Route53Client,
} from '@aws-sdk/client-route-53';
import { SHOP_HOSTED_ZONE_ID } from '../../sandbox/aws/fixtures';
import { type SandboxConfig } from '../../sandbox/config';
import { persistently } from './persistently';
import { differingBlocks, download } from './snapshot-blocks';
import { listLocks, shortenLock, type ToldLock } from './snapshot-locks';

/** A resource of a plan, as its tags tell it. */
export interface Resource {
  kind: 'snapshot' | 'volume' | 'instance' | 'image';
  id: string;
  state: string;
  tags: Record<string, string>;
  privateAddress?: string | undefined;
  /** Of a volume: the instance that it is attached to, and by which name. */
  attachedTo?: string | undefined;
}

const TTL = 60;

/** The account as plain calls of AWS tell it; nothing here uses the product's code. */
export class Account {
  private readonly ec2: EC2Client;
  private readonly ebs: EBSClient;
  private readonly route53: Route53Client;

  /** The account of the sample application in a sandbox. */
  constructor(config: Pick<SandboxConfig, 'ports' | 'region' | 'accessKeyId' | 'secretAccessKey'>) {
    const { ports, region, accessKeyId, secretAccessKey } = config;
    const common = {
      endpoint: `http://127.0.0.1:${ports.aws}`,
      region,
      credentials: { accessKeyId, secretAccessKey },
      maxAttempts: 1,
    };
    this.ec2 = new EC2Client(common);
    this.ebs = new EBSClient(common);
    this.route53 = new Route53Client(common);
  }

  close(): void {
    for (const client of [this.ec2, this.ebs, this.route53]) client.destroy();
  }

  /** Everything in the account that is there and costs money, or keeps what does, but the proxy. */
  resources(): Promise<Resource[]> {
    return persistently(async () => {
      const found: Resource[] = [];
      for await (const { Snapshots = [] } of paginateDescribeSnapshots(
        { client: this.ec2 },
        { OwnerIds: ['self'] },
      ))
        for (const { SnapshotId = '', State = '', Tags } of Snapshots)
          found.push({ kind: 'snapshot', id: SnapshotId, state: State, tags: record(Tags) });
      for await (const { Volumes = [] } of paginateDescribeVolumes({ client: this.ec2 }, {}))
        for (const { VolumeId = '', State = '', Tags, Attachments } of Volumes)
          found.push({
            kind: 'volume',
            id: VolumeId,
            state: State,
            tags: record(Tags),
            attachedTo: Attachments?.[0]?.InstanceId,
          });
      for await (const { Reservations = [] } of paginateDescribeInstances({ client: this.ec2 }, {}))
        for (const { InstanceId = '', State, Tags, PrivateIpAddress } of Reservations.flatMap(
          (r) => r.Instances ?? [],
        ))
          if (State?.Name !== 'terminated')
            found.push({
              kind: 'instance',
              id: InstanceId,
              state: State?.Name ?? '',
              tags: record(Tags),
              privateAddress: PrivateIpAddress,
            });
      for await (const { Images = [] } of paginateDescribeImages({ client: this.ec2 }, { Owners: ['self'] }))
        for (const { ImageId = '', State = '', Tags } of Images)
          found.push({ kind: 'image', id: ImageId, state: State, tags: record(Tags) });
      return found;
    });
  }

  async ofPlan(plan: string): Promise<Resource[]> {
    return (await this.resources()).filter(({ tags }) => tags['lifeboat:plan'] === plan);
  }

  /** Removes what a plan has, when nobody looks at it any more, so that addresses and quotas are there for the next. */
  async removeAll(plan: string): Promise<void> {
    const mine = await this.ofPlan(plan);
    const ids = (kind: Resource['kind']): string[] =>
      mine.filter((one) => one.kind === kind).map(({ id }) => id);
    const InstanceIds = ids('instance');
    if (InstanceIds.length > 0) {
      await persistently(() => this.ec2.send(new TerminateInstancesCommand({ InstanceIds })));
      await persistently(async () => {
        if ((await this.ofPlan(plan)).some(({ kind }) => kind === 'instance')) throw new Error('still there');
      });
    }
    const left = await this.ofPlan(plan);
    // Images first: what they are made of cannot be deleted.
    for (const one of left.filter(({ kind }) => kind === 'image')) await this.remove(one);
    for (const one of left.filter(({ kind }) => kind !== 'image')) await this.remove(one);
  }

  /** Removes one volume, snapshot or image. */
  private async remove({ kind, id }: Resource): Promise<void> {
    await persistently(async () => {
      if (kind === 'volume') await this.ec2.send(new DeleteVolumeCommand({ VolumeId: id }));
      else if (kind === 'snapshot') await this.ec2.send(new DeleteSnapshotCommand({ SnapshotId: id }));
      else if (kind === 'image') await this.ec2.send(new DeregisterImageCommand({ ImageId: id }));
    });
  }

  /**
   * Somebody deletes a snapshot by hand, and the VM's images that would keep it.
   * @returns whether it is gone; not where another image of it was made meanwhile
   */
  async deleteWithImages(plan: string, vm: string, snapshotId: string): Promise<boolean> {
    for (const { kind, id, tags } of await this.ofPlan(plan))
      if (kind === 'image' && tags['lifeboat:vm'] === vm) await this.deregister(id);
    return persistently(async () => {
      try {
        await this.ec2.send(new DeleteSnapshotCommand({ SnapshotId: snapshotId }));
        return true;
      } catch (error) {
        if (hasName(error, 'InvalidSnapshot.NotFound')) return true;
        if (hasName(error, 'InvalidSnapshot.InUse')) return false;
        throw error;
      }
    });
  }

  private async deregister(ImageId: string): Promise<void> {
    await persistently(async () => {
      try {
        await this.ec2.send(new DeregisterImageCommand({ ImageId }));
      } catch (error) {
        if (!hasName(error, 'InvalidAMIID.NotFound') && !hasName(error, 'InvalidAMIID.Unavailable'))
          throw error;
      }
    });
  }

  /** Writes a tag over. */
  async tag(id: string, Key: string, Value: string): Promise<void> {
    await persistently(() =>
      this.ec2.send(new CreateTagsCommand({ Resources: [id], Tags: [{ Key, Value }] })),
    );
  }

  /** What an instance can read about itself, as text. */
  userData(InstanceId: string): Promise<string> {
    return persistently(async () => {
      const { UserData } = await this.ec2.send(
        new DescribeInstanceAttributeCommand({ InstanceId, Attribute: 'userData' }),
      );
      return Buffer.from(UserData?.Value ?? '', 'base64').toString();
    });
  }

  /** See snapshot-blocks.ts. */
  download(snapshotId: string, path: string, sizeBytes: number): Promise<void> {
    return download(this.ebs, snapshotId, path, sizeBytes);
  }

  /** See {@link differingBlocks}. */
  differences(snapshotId: string, path: string): Promise<number[]> {
    return differingBlocks(this.ebs, snapshotId, path);
  }

  /** See {@link listLocks}. */
  locks(): Promise<Map<string, ToldLock>> {
    return listLocks(this.ec2);
  }

  /** See {@link shortenLock}. */
  shortenLock(id: string): Promise<void> {
    return persistently(() => shortenLock(this.ec2, id));
  }

  /** Address that a name has. */
  address(name: string): Promise<string | undefined> {
    return persistently(async () => {
      const { ResourceRecordSets = [] } = await this.route53.send(
        new ListResourceRecordSetsCommand({
          HostedZoneId: SHOP_HOSTED_ZONE_ID,
          StartRecordName: name,
          StartRecordType: 'A',
          MaxItems: 1,
        }),
      );
      const set = ResourceRecordSets.find(({ Name, Type }) => Name === `${name}.` && Type === 'A');
      return set?.ResourceRecords?.[0]?.Value;
    });
  }

  /** All record sets that a name has, exactly as they are. */
  records(name: string): Promise<ResourceRecordSet[]> {
    const wanted = `${name.replace('*', '\\052')}.`;
    return persistently(async () => {
      const { ResourceRecordSets = [] } = await this.route53.send(
        new ListResourceRecordSetsCommand({ HostedZoneId: SHOP_HOSTED_ZONE_ID, StartRecordName: name }),
      );
      return ResourceRecordSets.filter(({ Name }) => Name === wanted);
    });
  }

  setAddress(Name: string, Value: string): Promise<void> {
    return this.setRecords([{ Name, Type: 'A', TTL, ResourceRecords: [{ Value }] }]);
  }

  async setRecords(sets: readonly ResourceRecordSet[]): Promise<void> {
    const Changes = sets.map((ResourceRecordSet) => ({ Action: 'UPSERT' as const, ResourceRecordSet }));
    await persistently(() =>
      this.route53.send(
        new ChangeResourceRecordSetsCommand({
          HostedZoneId: SHOP_HOSTED_ZONE_ID,
          ChangeBatch: { Changes },
        }),
      ),
    );
  }
}

const hasName = (error: unknown, name: string): boolean => (error as Error).name === name;

const record = (tags: Tag[] | undefined): Record<string, string> =>
  Object.fromEntries((tags ?? []).map(({ Key = '', Value = '' }) => [Key, Value]));
