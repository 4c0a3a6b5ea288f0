import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { toolOutput } from '../host/run-tool';
import { endFuseExport, startFuseExport } from './fuse-export';

/** A disk on which something is tried: reads come from another, writes stay here, and go with it. */
export interface ScratchDisk {
  /** A raw file of the size of the disk below. */
  path: string;
  /** Throws the writes away. */
  close(): Promise<void>;
}

/**
 * Opens a scratch disk over a raw disk, which is only read.
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
  const directory = await mkdtemp(join(parent, 'lifeboat-scratch-'));
  const [pidFile, path, overlay] = ['pid', 'disk', 'written'].map((name) => join(directory, name)) as [
    string,
    string,
    string,
  ];
  const close = async (): Promise<void> => {
    await endFuseExport(pidFile, path);
    await rm(directory, { recursive: true, force: true });
  };
  try {
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
