import { mkdir, mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { writeFileAtomically } from '../host/atomic-file';
import { listIfExists, readIfExists } from '../host/if-exists';
import { processLives, processName } from '../host/pid-file';
import { toolOutput } from '../host/run-tool';
import { endFuseExport, servesFuseExport, startFuseExport } from './fuse-export';
import { type NbdServer, type ReadableDevice, serveNbd } from './nbd/server';
import { type WrittenArea, writtenAreas } from './written-areas';

const PREFIX = 'lifeboat-scratch-';

/**
 * Bytes that are kept, and made whole from what lies below, where any of them is written: QEMU's own default. Larger ones would
 * copy more for each small write; smaller ones gain nothing, as whoever asks for what was written reads whole blocks.
 */
const CLUSTER_BYTES = 64 * 2 ** 10;

/** A disk on which something is tried: reads come from another, writes stay here, and go with it. */
export interface ScratchDisk {
  /**
   * A raw file of the size of the disk below. Where that is a device of this process, the file must not be read or written by a
   * call that this process waits in, such as `readSync`, nor by so many others at once that no thread of libuv is left. Writes past
   * the page cache have at most 512 KiB (blocks/disk-writer.ts says why).
   */
  path: string;
  /**
   * Areas in which anything was written, also what was there before, in ascending order; whole clusters of the overlay.
   * Writes that have returned are in it.
   */
  writtenAreas(): Promise<WrittenArea[]>;
  /**
   * Whether all that was written is on it. One that is full may have refused a write, which whoever wrote may not have minded; one
   * whose daemon was killed has lost all of them.
   */
  holdsAll(): Promise<boolean>;
  /** Throws the writes away. */
  close(): Promise<void>;
}

/** What lies below a scratch disk, and is only read: a raw file, or a device that is served by this process while it is open. */
export type DiskBelow = { file: string } | { device: ReadableDevice };

/**
 * Opens a scratch disk. It is gone with this process, or at the next {@link sweepScratchDisks}.
 * @param largestBytes how much may be written before writing fails; the host's room is not the guest's
 * @param parent directory for the written blocks
 */
export async function openScratchDisk(
  below: DiskBelow,
  sizeBytes: number,
  largestBytes: number,
  parent = tmpdir(),
): Promise<ScratchDisk> {
  await mkdir(parent, { recursive: true });
  const directory = await mkdtemp(join(parent, PREFIX));
  const { pidFile, path, overlay, owner, socket } = placesIn(directory);
  let server: NbdServer | undefined;
  const close = async (): Promise<void> => {
    try {
      // The daemon before what it reads from.
      await endFuseExport(pidFile, path);
    } finally {
      await server?.close();
      server = undefined;
    }
    await rm(directory, { recursive: true, force: true });
  };
  try {
    await writeFileAtomically(owner, String(await processName(process.pid)));
    const format = ['-f', 'qcow2', '-o', `cluster_size=${CLUSTER_BYTES}`];
    await toolOutput('qemu-img', ['create', '-q', ...format, overlay, String(sizeBytes)]);
    await writeFile(path, '');
    if ('device' in below) server = await serveNbd(below.device, socket);
    // Nothing of it outlives a crash of this host, so nothing waits for the host's disk.
    const file = { driver: 'file', filename: overlay, cache: { 'no-flush': true } };
    // What lies below is named here, and not in the overlay's header.
    const node = { driver: 'qcow2', file, backing: nodeBelow(below), cache: { 'no-flush': true } };
    await startFuseExport({
      ...{ pidFile, path, node, writable: true },
      largestFileBytes: largestBytes,
      workingDirectory: directory,
    });
    return {
      path,
      writtenAreas: () => writtenAreas(path, overlay),
      async holdsAll() {
        if (!(await servesFuseExport(pidFile))) return false;
        // A write that fits no more is refused as a whole, a cluster with its table.
        return (await stat(overlay)).size + 2 * CLUSTER_BYTES <= largestBytes;
      },
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

function nodeBelow(below: DiskBelow): Record<string, unknown> {
  return 'file' in below
    ? { driver: 'raw', 'read-only': true, file: { driver: 'file', filename: below.file } }
    : { driver: 'nbd', 'read-only': true, server: { type: 'unix', path: SOCKET } };
}

/** Removes the scratch disks below a directory whose process was killed: their daemons go on without it. */
export async function sweepScratchDisks(parent: string): Promise<void> {
  for (const name of await listIfExists(parent)) {
    if (!name.startsWith(PREFIX)) continue;
    const directory = join(parent, name);
    const { owner, pidFile, path } = placesIn(directory);
    const text = await readIfExists(owner);
    // Without one it is being made, or was cut off before it had a daemon, and takes no room.
    if (text === undefined || (await processLives(text))) continue;
    await endFuseExport(pidFile, path);
    await rm(directory, { recursive: true, force: true });
  }
}

const SOCKET = 'below';

interface Places {
  pidFile: string;
  path: string;
  overlay: string;
  owner: string;
  socket: string;
}

function placesIn(directory: string): Places {
  const at = (name: string): string => join(directory, name);
  return {
    pidFile: at('pid'),
    path: at('disk'),
    overlay: at('written'),
    owner: at('owner'),
    socket: at(SOCKET),
  };
}
