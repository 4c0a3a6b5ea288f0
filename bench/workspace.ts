import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import {
  REGION,
  ACCESS_KEY_ID,
  SECRET_ACCESS_KEY,
  LeanEndpoint,
  startSandboxEndpoint,
  type Endpoint,
} from './endpoints';
import { makeDisk, type MadeDisk } from './disk';

/** What a benchmark works in: a directory of its own, made disks that outlive it, and endpoints that end with it. */
export class Workspace {
  private readonly open: { close(): Promise<void> }[] = [];

  private constructor(
    /** Emptied when the benchmark ends. */
    readonly directory: string,
    private readonly disks: string,
  ) {}

  static async create(root: string): Promise<Workspace> {
    const directory = join(root, 'run');
    await rm(directory, { recursive: true, force: true });
    const disks = join(root, 'disks');
    for (const path of [directory, disks]) await mkdir(path, { recursive: true });
    return new Workspace(directory, disks);
  }

  /** The made disk of that size; see disk.ts. It is kept for the next benchmark. */
  disk(sizeMiB: number): Promise<MadeDisk> {
    return makeDisk(join(this.disks, `${sizeMiB}-mib.raw`), sizeMiB * 2 ** 20);
  }

  /** A disk with about that much data, in pieces of 16 blocks all over it. */
  sparseDisk(sizeMiB: number, dataMiB: number): Promise<MadeDisk> {
    // 16 blocks are one turn of the mix, of which 12 hold data.
    const pieces = Math.max(1, Math.round((dataMiB * 2) / 12));
    const stride = Math.max(1, Math.floor((sizeMiB * 2) / 16 / pieces));
    const holds = (index: number): boolean => Math.floor(index / 16) % stride === 0;
    return makeDisk(join(this.disks, `${sizeMiB}-mib-holding-${dataMiB}.raw`), sizeMiB * 2 ** 20, { holds });
  }

  /** The same disk later, when one block in `every` has changed. */
  changedDisk(sizeMiB: number, every: number): Promise<MadeDisk> {
    const path = join(this.disks, `${sizeMiB}-mib-1-in-${every}-changed.raw`);
    return makeDisk(path, sizeMiB * 2 ** 20, { changed: (index) => index % every === 0 });
  }

  async leanEndpoint(): Promise<LeanEndpoint> {
    return this.closing(await LeanEndpoint.start());
  }

  async sandboxEndpoint(): Promise<Endpoint> {
    return this.closing(await startSandboxEndpoint(join(this.directory, 'aws')));
  }

  /** Has something closed when the benchmark ends, the newest first. */
  closing<T extends { close(): Promise<void> }>(what: T): T {
    this.open.unshift(what);
    return what;
  }

  async close(): Promise<void> {
    for (const what of this.open) await what.close();
    await rm(this.directory, { recursive: true, force: true });
  }
}

/** What both sides are told of AWS. */
export function awsEnvironment(): Record<string, string> {
  return {
    AWS_REGION: REGION,
    AWS_ACCESS_KEY_ID: ACCESS_KEY_ID,
    AWS_SECRET_ACCESS_KEY: SECRET_ACCESS_KEY,
    // Nobody is asked for other credentials.
    AWS_EC2_METADATA_DISABLED: 'true',
  };
}
