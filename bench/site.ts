import { ListObjectsV2Command, DeleteObjectsCommand, type S3Client } from '@aws-sdk/client-s3';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { s3Client } from '../activities/aws-proxy/account/single-clients';
import { BLOCK_SIZE } from '../blocks/port';
import { type DiskConfiguration, type Hypervisor } from '../hypervisor/port';
import { PROXY_AVAILABILITY_ZONE, PROXY_INSTANCE_ID } from '../sandbox/aws/fixtures';
import { type MadeDisk } from './disk';
import { BUCKET, REGION, type Endpoint } from './endpoints';
import { type DiskImage, localPrimary, type Primary } from './primary';
import { awsEnvironment, type Workspace } from './workspace';

/** A VM of no network and no operating system, whose disks are made. */
export const hardware = { cpus: 1, memoryMiB: 64, firmware: 'bios' as const, nics: [], guestOs: 'other-64' };

/** Prefix of the backup repository in the bucket. */
const PREFIX = 'lifeboat';

/** A primary site, and a repository in S3: what the workers of both sites need. */
export class Site {
  /** Of all sites of the process: two of them share a bucket and a state directory. */
  private static runs = 0;

  private constructor(
    private readonly workspace: Workspace,
    private readonly s3: Endpoint,
    private readonly blocksUrl: string | undefined,
    private readonly client: S3Client,
    private readonly primary: Primary,
  ) {}

  /**
   * @param blocksUrl where EBS is, if not with S3
   * @param primary what runs the VMs; a directory of VMs with VMDK disks where absent
   */
  static async create(
    workspace: Workspace,
    s3: Endpoint,
    { blocksUrl, primary }: { blocksUrl?: string; primary?: Primary } = {},
  ): Promise<Site> {
    // The client's own; what is measured has its credentials from the environment that it is given.
    Object.assign(process.env, awsEnvironment());
    const client = s3Client({ region: REGION, endpoint: s3.url });
    return new Site(workspace, s3, blocksUrl, client, primary ?? (await localPrimary(workspace)));
  }

  get hypervisor(): Hypervisor {
    return this.primary.hypervisor;
  }

  /** Environment of a worker, with recorded progress of its own. */
  newWorker(): { directory: string; env: Record<string, string> } {
    const { directory } = this.workspace;
    const env = {
      AWS_ENDPOINT_URL: this.blocksUrl ?? this.s3.url,
      AWS_ENDPOINT_URL_S3: this.s3.url,
      LIFEBOAT_REPOSITORY: `s3://${BUCKET}/${PREFIX}`,
      LIFEBOAT_S3_ENDPOINT: this.s3.url,
      LIFEBOAT_STATE_DIRECTORY: join(directory, 'state', String(Site.runs++)),
      LIFEBOAT_PROXY_INSTANCE_ID: PROXY_INSTANCE_ID,
      LIFEBOAT_PROXY_AVAILABILITY_ZONE: PROXY_AVAILABILITY_ZONE,
      LIFEBOAT_HYPERVISOR: this.primary.setting,
    };
    return { directory, env };
  }

  /** A run's id, another one each time. */
  newRunId(): string {
    return `0199c0de-0000-7000-8000-${String(Site.runs++).padStart(12, '0')}`;
  }

  /** A backup's id, later than those before. */
  newBackupId(): string {
    const second = String(Site.runs++).padStart(4, '0');
    return `20260101T00${second.slice(0, 2)}${second.slice(2)}Z-${second.padStart(8, '0')}`;
  }

  /** Puts a VM with those disks into the data centre, powered off. */
  async importVm(name: string, disks: Record<string, MadeDisk>): Promise<void> {
    const configured = Object.entries(disks).map(([key, { sizeBytes }], slot) => ({
      key,
      sizeBytes,
      slot,
      boot: slot === 0,
    }));
    const files = Object.fromEntries(Object.entries(disks).map(([key, { path }]) => [key, path]));
    await this.primary.importVm(name, { ...hardware, disks: configured }, files);
  }

  /** A powered-off VM with an empty disk, in place of any of that name. */
  async emptyVm(name: string, disk: DiskConfiguration): Promise<void> {
    if ((await this.hypervisor.listVms()).includes(name)) await this.hypervisor.deleteVm(name);
    await this.hypervisor.createVm(name, hardware);
    await this.hypervisor.addDisk(name, disk);
  }

  /** The image of a VM's disk. */
  image(vm: string, key: string): DiskImage {
    return this.primary.image(vm, key);
  }

  /** Makes a VM's disk, block by block, like another version of it. */
  async changeBlocks(vm: string, key: string, to: MadeDisk, indexes: Iterable<number>): Promise<void> {
    const opened = await this.hypervisor.openDisk(vm, key);
    const [from, into] = [await open(to.path, 'r'), await open(opened.path, 'r+')];
    const block = Buffer.allocUnsafe(BLOCK_SIZE);
    for (const index of indexes) {
      await from.read(block, 0, BLOCK_SIZE, index * BLOCK_SIZE);
      await into.write(block, 0, BLOCK_SIZE, index * BLOCK_SIZE);
    }
    await from.close();
    await into.close();
    await opened.close();
  }

  /** Bytes of all objects under a prefix of the bucket. */
  async storedBytes(prefix = PREFIX): Promise<number> {
    let bytes = 0;
    for await (const { Size } of this.objects(prefix)) bytes += Size ?? 0;
    return bytes;
  }

  async deleteObjects(prefix = PREFIX): Promise<void> {
    const Objects = [];
    for await (const { Key } of this.objects(prefix)) Objects.push({ Key });
    // 1000 a request are S3's limit.
    for (let n = 0; n < Objects.length; n += 1000)
      await this.client.send(
        new DeleteObjectsCommand({ Bucket: BUCKET, Delete: { Objects: Objects.slice(n, n + 1000) } }),
      );
  }

  private async *objects(Prefix: string) {
    let ContinuationToken: string | undefined;
    do {
      const page = await this.client.send(
        new ListObjectsV2Command({ Bucket: BUCKET, Prefix, ContinuationToken }),
      );
      yield* page.Contents ?? [];
      ContinuationToken = page.NextContinuationToken;
    } while (ContinuationToken !== undefined);
  }
}
