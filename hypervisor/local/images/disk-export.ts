import { mkdir, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Leases } from '../../../host/leases';
import { syncFile } from '../../../host/sync-file';
import { ToolFailedError } from '../../../host/run-tool';
import { endFuseExport, servesFuseExport, startFuseExport } from '../../../machines/fuse-export';
import { withoutBacking } from '../../../machines/hardware';
import { CONVERT, DiskImageError } from './image-error';
import { type DiskImage } from '../vm-files';

/**
 * A disk image handed out as a raw file. Where a file of the image is the disk byte for byte, a writer gets that; any other
 * is exported by qemu-storage-daemon, by FUSE: one daemon a disk, shared by all who have it open, in whichever process, as
 * QEMU's image lock would not let a second one in. Who has it open is written in openers/, a file each; those of dead
 * processes do not count. Callers hold the VM's lock.
 */

/** Where in an export's directory stands who has it open. */
const OPENERS = 'openers';

/** An image to hand out, checked, and the directory that belongs to its export alone. */
export interface ExportedImage {
  directory: string;
  image: DiskImage;
  /** What QEMU opens for it. */
  opened: DiskImage;
  /** What the image consists of. */
  files: readonly string[];
  /** A file to hand out itself, as it has the disk's bytes and nothing else. */
  rawFile?: string | undefined;
  sizeBytes: number;
  writable: boolean;
}

export interface DiskExport {
  path: string;
  /** Names this opener in {@link closeExport}. */
  opener: string;
}

/** Opens a disk image; whoever is the first starts the daemon, where it needs one. */
export async function openExport(exported: ExportedImage): Promise<DiskExport> {
  const { directory, image, sizeBytes, rawFile } = exported;
  const path = rawFile ?? join(directory, 'disk');
  await mkdir(directory, { recursive: true });
  if (rawFile === undefined && !(await servesFuseExport(pidFile(directory)))) {
    await endExport(directory);
    await mkdir(directory, { recursive: true });
    await writeFile(path, '');
    await startDaemon(exported, path);
    const { size } = await stat(path);
    if (size !== sizeBytes) {
      await endExport(directory);
      throw new DiskImageError(
        image.path,
        `it opens with ${size} bytes, and the disk has ${sizeBytes}`,
        CONVERT,
      );
    }
  }
  return { path, opener: await new Leases(directory).begin(OPENERS) };
}

/** Makes what was written durable, and ends the export when nobody else has it open. */
export async function closeExport(
  { directory, files, writable }: ExportedImage,
  opener: string,
): Promise<void> {
  const openers = new Leases(directory);
  if (!(await openers.holds(OPENERS, opener))) return; // closed before
  if (writable && (await servesFuseExport(pidFile(directory)))) await syncFile(join(directory, 'disk'));
  await openers.end(OPENERS, opener);
  if (await openers.used(OPENERS)) return;
  await endExport(directory);
  if (writable) for (const file of files) await syncFile(file);
}

/** Whether a living process has the export open. */
export function isOpen(directory: string): Promise<boolean> {
  return new Leases(directory).used(OPENERS);
}

/** Ends the export's daemon, which flushes, and removes the directory. */
export async function endExport(directory: string): Promise<void> {
  await endFuseExport(pidFile(directory), join(directory, 'disk'));
  await rm(directory, { recursive: true, force: true });
}

async function startDaemon(
  { directory, image, opened, writable }: ExportedImage,
  path: string,
): Promise<void> {
  const node = {
    driver: opened.format,
    file: { driver: 'file', filename: opened.path },
    ...withoutBacking(opened.format),
  };
  try {
    await startFuseExport({ pidFile: pidFile(directory), path, node, writable });
  } catch (error) {
    if (!(error instanceof ToolFailedError)) throw error;
    throw new Error(`The disk ${image.path} cannot be opened: ${error.stderr.trim()}`, { cause: error });
  }
}

function pidFile(directory: string): string {
  return join(directory, 'pid');
}
