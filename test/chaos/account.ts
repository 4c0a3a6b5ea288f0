import {
  DeleteSnapshotCommand,
  DeleteVolumeCommand,
  EC2Client,
  paginateDescribeInstances,
  paginateDescribeSnapshots,
  paginateDescribeVolumes,
  type Tag,
  TerminateInstancesCommand,
} from '@aws-sdk/client-ec2';
import { EBSClient, GetSnapshotBlockCommand, ListSnapshotBlocksCommand } from '@aws-sdk/client-ebs';
import {
  ChangeResourceRecordSetsCommand,
  ListResourceRecordSetsCommand,
  Route53Client,
} from '@aws-sdk/client-route-53';
import { open } from 'node:fs/promises';
import { SHOP_HOSTED_ZONE_ID } from '../../sandbox/aws/fixtures';
import { type SandboxConfig } from '../../sandbox/config';
import { persistently } from './persistently';

/** A resource of a plan, as its tags tell it. */
export interface Resource {
  kind: 'snapshot' | 'volume' | 'instance';
  id: string;
  state: string;
  tags: Record<string, string>;
  privateAddress?: string | undefined;
  /** Of a volume: the instance that it is attached to, and by which name. */
  attachedTo?: string | undefined;
}

const BLOCK_BYTES = 512 * 1024;
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

  /** Everything in the account that is there and costs money, but the proxy. */
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
    for (const { kind, id } of await this.ofPlan(plan))
      await persistently(() =>
        kind === 'volume'
          ? this.ec2.send(new DeleteVolumeCommand({ VolumeId: id }))
          : this.ec2.send(new DeleteSnapshotCommand({ SnapshotId: id })),
      );
  }

  /** Blocks in which a snapshot differs from a file; behind the file's end there must be zeros. */
  async differences(snapshotId: string, path: string): Promise<number[]> {
    const listed = await persistently(() => this.listBlocks(snapshotId));
    const file = await open(path, 'r');
    try {
      const { size } = await file.stat();
      const last = Math.max(Math.ceil(size / BLOCK_BYTES) - 1, ...listed.keys());
      const different: number[] = [];
      for (let index = 0; index <= last; index++) {
        const expected = Buffer.alloc(BLOCK_BYTES);
        await file.read(expected, 0, BLOCK_BYTES, index * BLOCK_BYTES);
        const token = listed.get(index);
        const actual =
          token === undefined ? Buffer.alloc(BLOCK_BYTES) : await this.block(snapshotId, index, token);
        if (!actual.equals(expected)) different.push(index);
      }
      return different;
    } finally {
      await file.close();
    }
  }

  private async listBlocks(SnapshotId: string): Promise<Map<number, string>> {
    const tokens = new Map<number, string>();
    let NextToken: string | undefined;
    do {
      const page = await this.ebs.send(new ListSnapshotBlocksCommand({ SnapshotId, NextToken }));
      for (const { BlockIndex = -1, BlockToken = '' } of page.Blocks ?? [])
        tokens.set(BlockIndex, BlockToken);
      NextToken = page.NextToken;
    } while (NextToken !== undefined);
    return tokens;
  }

  private block(SnapshotId: string, BlockIndex: number, BlockToken: string): Promise<Buffer> {
    return persistently(async () => {
      const { BlockData } = await this.ebs.send(
        new GetSnapshotBlockCommand({ SnapshotId, BlockIndex, BlockToken }),
      );
      return Buffer.from((await BlockData?.transformToByteArray()) ?? []);
    });
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

  async setAddress(Name: string, Value: string): Promise<void> {
    const ResourceRecordSet = { Name, Type: 'A' as const, TTL, ResourceRecords: [{ Value }] };
    const ChangeBatch = { Changes: [{ Action: 'UPSERT' as const, ResourceRecordSet }] };
    await persistently(() =>
      this.route53.send(
        new ChangeResourceRecordSetsCommand({ HostedZoneId: SHOP_HOSTED_ZONE_ID, ChangeBatch }),
      ),
    );
  }
}

const record = (tags: Tag[] | undefined): Record<string, string> =>
  Object.fromEntries((tags ?? []).map(({ Key = '', Value = '' }) => [Key, Value]));
