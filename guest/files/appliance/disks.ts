import { constants } from 'node:fs';
import { mkdtemp, open, rm, type FileHandle } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runTool } from '../../../host/run-tool';

/** Most disks of one guest; vSphere has 60 on SCSI, EBS attaches fewer. */
const MAX_DISKS = 60;
const TOOL_SECONDS = 30;

/**
 * What a file's length has to be a multiple of for direct access: the largest unit that file systems ask for. QEMU would make a
 * file longer that is none, and may not.
 */
const ALIGNMENT = 4096;

/** The disks of a guest, opened here, so that who runs QEMU needs no right to any path. */
export class OpenDisks {
  private constructor(private readonly disks: OpenDisk[]) {}

  /**
   * @param mode with 'look', what the appliance writes (a replayed log) goes to a temporary file and is lost
   */
  static async open(diskPaths: string[], mode: 'look' | 'write'): Promise<OpenDisks> {
    if (diskPaths.length > MAX_DISKS)
      throw new Error(`A guest has ${diskPaths.length} disks; at most ${MAX_DISKS} are supported.`);
    const disks: OpenDisk[] = [];
    try {
      for (const path of diskPaths) disks.push(await openDisk(path, mode));
    } catch (error) {
      await new OpenDisks(disks).close();
      throw error;
    }
    return new OpenDisks(disks);
  }

  /** File descriptors to hand to QEMU, in the order in which {@link arguments} expects them. */
  get fds(): number[] {
    return this.disks.flatMap((disk) => [disk.file.fd, ...(disk.overlay ? [disk.overlay.fd] : [])]);
  }

  /** QEMU's options: all disks as name spaces of one NVMe controller. @param firstFd number of the first descriptor there */
  arguments(firstFd: number): string[] {
    let fd = firstFd;
    const result = ['-device', JSON.stringify({ driver: 'nvme', id: 'nvme', serial: 'lifeboat' })];
    const node = (properties: Record<string, unknown>): void => {
      result.push('-blockdev', JSON.stringify(properties));
    };
    const fromFd = (): string => {
      result.push('-add-fd', `fd=${fd},set=${fd}`);
      return `/dev/fdset/${fd++}`;
    };
    this.disks.forEach((disk, index) => {
      const cache = { direct: disk.direct, 'no-flush': false };
      const readOnly = disk.overlay !== undefined;
      node({
        ...{ driver: 'raw', 'node-name': readOnly ? `base${index}` : `disk${index}` },
        ...{ 'read-only': readOnly, cache },
        file: { driver: disk.driver, filename: fromFd(), 'read-only': readOnly, cache },
      });
      if (readOnly)
        node({
          ...{ driver: 'qcow2', 'node-name': `disk${index}`, backing: `base${index}` },
          file: { driver: 'file', filename: fromFd() },
        });
      result.push(
        '-device',
        JSON.stringify({ driver: 'nvme-ns', bus: 'nvme', nsid: index + 1, drive: `disk${index}` }),
      );
    });
    return result;
  }

  /** Makes sure that what was written has left this host's memory. */
  async sync(): Promise<void> {
    for (const disk of this.disks) if (!disk.overlay) await disk.file.sync();
  }

  async close(): Promise<void> {
    for (const disk of this.disks) {
      await disk.overlay?.close();
      await disk.file.close();
    }
  }
}

interface OpenDisk {
  file: FileHandle;
  driver: 'file' | 'host_device';
  /** Whether it can be read and written past this host's page cache. */
  direct: boolean;
  overlay?: FileHandle;
}

async function openDisk(path: string, mode: 'look' | 'write'): Promise<OpenDisk> {
  const access = mode === 'write' ? constants.O_RDWR : constants.O_RDONLY;
  const file = await open(path, access);
  try {
    const stat = await file.stat();
    const driver = stat.isBlockDevice() ? 'host_device' : 'file';
    if (driver === 'file' && !stat.isFile()) throw new Error(`${path} is no disk.`);
    const direct = (driver !== 'file' || stat.size % ALIGNMENT === 0) && (await takesDirect(path, access));
    const disk: OpenDisk = { file, driver, direct };
    if (mode === 'look') disk.overlay = await temporaryOverlay(await sizeOf(path, file));
    return disk;
  } catch (error) {
    await file.close();
    throw error;
  }
}

/** Some file systems, tmpfs of older kernels among them, have no direct access. */
async function takesDirect(path: string, access: number): Promise<boolean> {
  try {
    await (await open(path, access | constants.O_DIRECT)).close();
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EINVAL') return false;
    throw error;
  }
}

/** Of a block device, too, whose own stat says 0. */
async function sizeOf(path: string, file: FileHandle): Promise<number> {
  const stat = await file.stat();
  if (!stat.isBlockDevice()) return stat.size;
  const { stdout, stderr } = await runTool('blockdev', ['--getsize64', path], {
    timeoutSeconds: TOOL_SECONDS,
  });
  const size = Number(stdout.toString('latin1'));
  if (!Number.isSafeInteger(size) || size <= 0) throw new Error(`blockdev on ${path}: ${stderr.trim()}`);
  return size;
}

/** A file that is gone from its directory before it is used: nothing is left of it when its user ends. */
async function temporaryOverlay(size: number): Promise<FileHandle> {
  const directory = await mkdtemp(join(tmpdir(), 'lifeboat-appliance-'));
  try {
    const path = join(directory, 'overlay');
    const { exitCode, stderr } = await runTool(
      'qemu-img',
      ['create', '-q', '-f', 'qcow2', path, String(size)],
      { timeoutSeconds: TOOL_SECONDS },
    );
    if (exitCode !== 0) throw new Error(`qemu-img cannot make a temporary file: ${stderr.trim()}`);
    return await open(path, 'r+');
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}
