import { randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { localHypervisor, stopAllVms } from '../../hypervisor/local';
import { VmFiles, type VmFile } from '../../hypervisor/local/vm-files';
import { type Hypervisor } from '../../hypervisor/port';
import { contents, onDisk } from './hypervisor-contract';

export const VM = 'db';

/** A multiple of 512, but not of 64 KiB (a grain) or 512 KiB (a block). */
export const SIZE = 2 * 1024 * 1024 + 5 * 512;
export const SECTORS = SIZE / 512;

/** A VM of one disk that somebody brings along, and the files that he brings. */
export class PlacedVm {
  private constructor(
    readonly directory: string,
    readonly files: VmFiles,
    readonly hypervisor: Hypervisor,
  ) {}

  static async make(): Promise<PlacedVm> {
    const directory = await mkdtemp(join(tmpdir(), 'placed-'));
    const files = new VmFiles(directory, VM);
    await mkdir(files.home, { recursive: true });
    return new PlacedVm(directory, files, localHypervisor({ directory }));
  }

  async remove(): Promise<void> {
    await stopAllVms(this.directory);
    await rm(this.directory, { recursive: true, force: true });
  }

  /** Says in vm.json which file the disk is. */
  async describe(file: string, format: NonNullable<VmFile['images']>[string]['format'] = 'vmdk') {
    await this.files.write({
      version: 1,
      configuration: {
        cpus: 1,
        memoryMiB: 64,
        firmware: 'bios',
        nics: [],
        guestOs: 'debian12',
        disks: [{ key: 'system', sizeBytes: SIZE, slot: 0, boot: true }],
      },
      images: { system: { file, format } },
      revision: 0,
    });
  }

  path(name: string): string {
    return join(this.files.home, name);
  }

  async put(files: Record<string, string | Buffer>): Promise<void> {
    for (const [name, bytes] of Object.entries(files)) await writeFile(this.path(name), bytes);
  }

  /** Bytes of the disk as a backup reads them; the VM is off. */
  async backedUp(): Promise<Buffer> {
    const id = randomBytes(4).toString('hex');
    await this.hypervisor.snapshotVm(VM, id);
    let bytes: Buffer | undefined;
    await onDisk(
      await this.hypervisor.openSnapshotDisk(VM, id, 'system'),
      async (file) => void (bytes = await contents(file)),
      'r',
    );
    await this.hypervisor.releaseSnapshot(VM, id);
    return bytes as Buffer;
  }

  /** What each place says that opens the image: a backup, its changed areas, failback's target, the VM's start. */
  async refusals(): Promise<string[]> {
    const id = randomBytes(4).toString('hex');
    await this.hypervisor.snapshotVm(VM, id);
    const tries = [
      () => this.hypervisor.openSnapshotDisk(VM, id, 'system'),
      () => this.hypervisor.changedAreas(VM, id, 'system'),
      () => this.hypervisor.openDisk(VM, 'system'),
      () => this.hypervisor.powerOn(VM),
    ];
    const said: string[] = [];
    for (const attempt of tries)
      said.push(
        await attempt().then(
          () => 'opened',
          (error: unknown) => (error as Error).message,
        ),
      );
    await this.hypervisor.releaseSnapshot(VM, id);
    return said;
  }

  /** The one thing that all of them say. */
  async refusal(): Promise<string> {
    const said = new Set(await this.refusals());
    expect([...said]).toHaveLength(1);
    const [message] = said;
    // A sentence of what is, and one of what to do.
    expect(message).toMatch(/^The disk image \/.* cannot be used: .+\. [A-Z].+\.$/s);
    return message as string;
  }

  list(): Promise<string[]> {
    return readdir(this.files.home);
  }
}

/** A descriptor as ESXi writes it. */
export function descriptor(extents: readonly string[], values: Record<string, string> = {}): string {
  const { cid = '7d3a1b2c', parentCid = 'ffffffff', kind = 'vmfs', encoding = 'UTF-8', hint } = values;
  return [
    '# Disk DescriptorFile',
    'version=1',
    `encoding="${encoding}"`,
    `CID=${cid}`,
    `parentCID=${parentCid}`,
    'isNativeSnapshot="no"',
    `createType="${kind}"`,
    ...(hint === undefined ? [] : [`parentFileNameHint="${hint}"`]),
    '',
    '# Extent description',
    ...extents,
    '',
    '# The Disk Data Base ',
    '#DDB',
    '',
    'ddb.adapterType = "lsilogic"',
    'ddb.virtualHWVersion = "14"',
    '',
  ].join('\n');
}

/** A disk's bytes, no two sectors alike. */
export function someDisk(): Buffer {
  return randomBytes(SIZE);
}
