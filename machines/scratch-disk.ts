import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { writeFileAtomically } from '../host/atomic-file';
import { listIfExists, readIfExists } from '../host/if-exists';
import { processLives, processName } from '../host/pid-file';
import { toolOutput } from '../host/run-tool';
import { endFuseExport, startFuseExport } from './fuse-export';

const PREFIX = 'lifeboat-scratch-';

/** A disk on which something is tried: reads come from another, writes stay here, and go with it. */
export interface ScratchDisk {
  /** A raw file of the size of the disk below. */
  path: string;
  /** Throws the writes away. */
  close(): Promise<void>;
}

/**
 * Opens a scratch disk over a raw disk, which is only read. It is gone with this process, or at the next {@link sweepScratchDisks}.
 * @param largestBytes how much may be written before writing fails, and the disk with it; the host's room is not the guest's
 * @param parent directory for the written blocks
 */
export async function openScratchDisk(
  diskPath: string,
  sizeBytes: number,
  largestBytes: number,
  parent = tmpdir(),
): Promise<ScratchDisk> {
  await mkdir(parent, { recursive: true });
  const directory = await mkdtemp(join(parent, PREFIX));
  const { pidFile, path, overlay, owner } = placesIn(directory);
  const close = (): Promise<void> => remove(directory);
  try {
    await writeFileAtomically(owner, String(await processName(process.pid)));
    await toolOutput('qemu-img', ['create', '-q', '-f', 'qcow2', overlay, String(sizeBytes)]);
    await writeFile(path, '');
    // What lies below is named here, and not in the overlay's header.
    const below = { driver: 'raw', 'read-only': true, file: { driver: 'file', filename: diskPath } };
    // Nothing of it outlives a crash of this host, so nothing waits for the host's disk.
    const file = { driver: 'file', filename: overlay, cache: { 'no-flush': true } };
    const node = { driver: 'qcow2', file, backing: below, cache: { 'no-flush': true } };
    await startFuseExport({ pidFile, path, node, writable: true, largestFileBytes: largestBytes });
    return { path, close };
  } catch (error) {
    await close();
    throw error;
  }
}

/** Removes the scratch disks below a directory whose process was killed: their daemons go on without it. */
export async function sweepScratchDisks(parent: string): Promise<void> {
  for (const name of await listIfExists(parent)) {
    if (!name.startsWith(PREFIX)) continue;
    const directory = join(parent, name);
    const owner = await readIfExists(placesIn(directory).owner);
    // Without one it is being made, or was cut off before it had a daemon, and takes no room.
    if (owner === undefined || (await processLives(owner))) continue;
    await remove(directory);
  }
}

function placesIn(directory: string): { pidFile: string; path: string; overlay: string; owner: string } {
  const at = (name: string): string => join(directory, name);
  return { pidFile: at('pid'), path: at('disk'), overlay: at('written'), owner: at('owner') };
}

async function remove(directory: string): Promise<void> {
  const { pidFile, path } = placesIn(directory);
  await endFuseExport(pidFile, path);
  await rm(directory, { recursive: true, force: true });
}
