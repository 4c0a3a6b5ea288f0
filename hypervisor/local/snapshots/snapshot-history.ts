import { readFile, stat } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { z } from 'zod';
import { writeFileAtomically } from '../../../host/atomic-file';
import { checkImage } from '../images/image-check';
import { DiskImageError } from '../images/image-error';
import { type SnapshotRecord } from './snapshot-record';
import { type DiskImage, type VmFiles } from '../vm-files';

/**
 * Which snapshots a VM has had, kept when they are gone: a later one is compared with a backup made from an earlier one,
 * and only what is known of that one allows to say what has changed since.
 */

/** A Lifeboat that backs a VM up every hour still knows those of four days. */
const KEPT_SNAPSHOTS = 100;

const pastSnapshot = z.strictObject({
  id: z.string(),
  /** Whether more than one was taken under this id, at different instants: a backup may hold either of them. */
  repeated: z.boolean(),
  /** Of a running VM: its QEMU. */
  qemu: z.string().optional(),
  /** Of a powered-off VM: its revision, and its images' {@link imageStamp}. */
  revision: z.number().optional(),
  stamp: z.string().optional(),
  disks: z.array(z.strictObject({ key: z.string(), sizeBytes: z.number() })),
});

const historyFile = z.strictObject({ version: z.literal(1), snapshots: z.array(pastSnapshot) });

export type PastSnapshot = z.infer<typeof pastSnapshot>;

/** Remembers a snapshot, before it is given to anybody. The caller holds the VM's lock. */
export async function rememberSnapshot(files: VmFiles, record: SnapshotRecord): Promise<void> {
  const { id, qemu, revision } = record;
  const past = await readHistory(files);
  const others = past.filter((snapshot) => snapshot.id !== id);
  const snapshot: PastSnapshot = {
    id,
    repeated: others.length < past.length,
    disks: record.disks.map(({ key, sizeBytes }) => ({ key, sizeBytes })),
    ...(qemu === undefined ? { revision, stamp: await imageStamp(files) } : { qemu }),
  };
  const snapshots = [...others, snapshot].slice(-KEPT_SNAPSHOTS);
  await writeFileAtomically(historyPath(files), JSON.stringify({ version: 1, snapshots }, null, 2));
}

/** What is known of a snapshot that there was; undefined where that is nothing to rely on. */
export async function findPastSnapshot(files: VmFiles, id: string): Promise<PastSnapshot | undefined> {
  const found = (await readHistory(files)).find((snapshot) => snapshot.id === id);
  return found?.repeated === false ? found : undefined;
}

/**
 * Changes whenever an image of the VM is written to or replaced, be it by somebody who does not know of revisions.
 * @returns undefined where an image cannot be used, and it is unknown what belongs to it
 */
export async function imageStamp(files: VmFiles): Promise<string | undefined> {
  const stamps: string[] = [];
  const file = await files.read();
  for (const { key, sizeBytes } of file.configuration.disks) {
    const paths = await filesOf(files.image(file, key), sizeBytes);
    if (paths === undefined) return undefined;
    for (const path of paths) {
      const { ino, size, mtimeNs, ctimeNs } = await stat(path, { bigint: true });
      stamps.push([key, relative(files.home, path), ino, size, mtimeNs, ctimeNs].join(' '));
    }
  }
  return stamps.join('\n');
}

async function filesOf(image: DiskImage, sizeBytes: number): Promise<string[] | undefined> {
  try {
    return (await checkImage(image, sizeBytes)).files;
  } catch (error) {
    if (error instanceof DiskImageError) return undefined; // whoever opens it is told
    throw error;
  }
}

async function readHistory(files: VmFiles): Promise<PastSnapshot[]> {
  try {
    return historyFile.parse(JSON.parse(await readFile(historyPath(files), 'utf8'))).snapshots;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}

function historyPath(files: VmFiles): string {
  return join(files.home, 'snapshots.json');
}
