import { mkdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { listIfExists } from '../../../host/if-exists';
import { machinePid, qmpSocketOf } from '../../../machines/machine';
import { unmount } from '../../../machines/fuse-export';
import { withQmp } from '../../../machines/qmp';
import { writeFileAtomically } from '../../../host/atomic-file';
import { processName } from '../../../host/pid-file';
import { type DiskConfiguration, SnapshotLostError } from '../../port';
import { endExport, isOpen } from '../images/disk-export';
import { type Monitor, stopNbdServer } from './live-map';
import {
  holdsLiveSnapshot,
  type LiveSnapshot,
  removeLiveSnapshot,
  snapshotDiskPath,
  takeLiveSnapshot,
} from './live-snapshot';
import { rememberSnapshot } from './snapshot-history';
import { snapshotRecord, type SnapshotRecord } from './snapshot-record';
import { shortHash, type VmFiles } from '../vm-files';

/** Takes a snapshot under `id`, or finds the one taken before. The caller holds the VM's lock. */
export async function takeSnapshot(files: VmFiles, id: string): Promise<SnapshotRecord> {
  const existing = await readRecord(files, id);
  if (existing?.state === 'taken') {
    await checkHeld(files, existing);
    return existing;
  }
  if (existing) await removeSnapshot(files, id); // a try that was broken off
  const { configuration, revision } = await files.read();
  if (configuration.disks.length === 0)
    throw new Error(`VM "${files.vm}" has no disks to take a snapshot of.`);
  await mkdir(directoryOf(files, id), { recursive: true });
  const qemu = await runningQemu(files);
  const record: SnapshotRecord = {
    id,
    state: 'taking',
    // Before the instant itself, never after: a recovery point must not promise what it does not hold.
    takenAt: new Date().toISOString(),
    consistency: qemu ? 'crash' : 'powered-off',
    disks: configuration.disks,
    ...(qemu ? { qemu } : { revision }),
  };
  await writeRecord(files, record);
  if (qemu) {
    try {
      await withMachine(files, async (qmp) => {
        await stopNbdServer(qmp); // it would keep bitmaps from being changed
        await takeLiveSnapshot(qmp, liveSnapshot(files, record));
      });
    } catch (error) {
      await removeSnapshot(files, id);
      throw error;
    }
  }
  await rememberSnapshot(files, record);
  const taken: SnapshotRecord = { ...record, state: 'taken' };
  await writeRecord(files, taken);
  return taken;
}

/**
 * The record of a snapshot that is there, and a disk of it.
 * @throws SnapshotLostError; Error when it has no such disk
 */
export async function findSnapshotDisk(
  files: VmFiles,
  id: string,
  key: string,
): Promise<{ record: SnapshotRecord; disk: DiskConfiguration }> {
  const record = await readRecord(files, id);
  if (record?.state !== 'taken') throw new SnapshotLostError(files.vm, id, 'the VM has none of this name');
  await checkHeld(files, record);
  const disk = record.disks.find((candidate) => candidate.key === key);
  if (!disk) throw new Error(`Snapshot "${id}" of VM "${files.vm}" has no disk "${key}".`);
  return { record, disk };
}

/** The path of a disk of a running VM's snapshot. */
export function liveDiskPath(files: VmFiles, record: SnapshotRecord, key: string): string {
  return snapshotDiskPath({ directory: directoryOf(files, record.id) }, key);
}

/** Where a disk of a powered-off VM's snapshot is handed out. */
export function offlineExportDirectory(files: VmFiles, record: SnapshotRecord, key: string): string {
  return join(directoryOf(files, record.id), `${key}.open`);
}

/** Gives a snapshot up; one that is lost or was never taken, too. The caller holds the VM's lock. */
export async function removeSnapshot(files: VmFiles, id: string): Promise<void> {
  const record = await readRecord(files, id);
  if (record?.qemu !== undefined && record.qemu === (await runningQemu(files))) {
    await withMachine(files, (qmp) => removeLiveSnapshot(qmp, liveSnapshot(files, record)));
  }
  await removeFiles(directoryOf(files, id));
}

/** Takes down everything that snapshots of a VM, whose QEMU has ended, have left on this host. */
export async function removeAllSnapshotFiles(files: VmFiles): Promise<void> {
  for (const entry of await listIfExists(files.snapshots)) await removeFiles(join(files.snapshots, entry));
}

/**
 * Ends what hands disks of a powered-off VM out, before somebody writes to them.
 * @throws when one is being read: it would change under the reader
 */
export async function endUnreadSnapshotExports(files: VmFiles): Promise<void> {
  for (const snapshot of await listIfExists(files.snapshots)) {
    for (const entry of await listIfExists(join(files.snapshots, snapshot))) {
      if (!entry.endsWith('.open')) continue;
      const directory = join(files.snapshots, snapshot, entry);
      if (await isOpen(directory))
        throw new Error(`Disk "${entry.slice(0, -5)}" of VM "${files.vm}" is being read from a snapshot.`);
      await endExport(directory); // whoever read it has died
    }
  }
}

async function removeFiles(directory: string): Promise<void> {
  for (const entry of await listIfExists(directory)) {
    const path = join(directory, entry);
    if (entry.endsWith('.open')) await endExport(path);
    if (entry.endsWith('.raw')) await unmount(path);
  }
  await rm(directory, { recursive: true, force: true });
}

async function checkHeld(files: VmFiles, record: SnapshotRecord): Promise<void> {
  const lost = (reason: string) => new SnapshotLostError(files.vm, record.id, reason);
  if (record.consistency === 'powered-off') {
    const { revision } = await files.read();
    if (revision !== record.revision)
      throw lost('the VM was powered on, or its disks opened for writing, since');
    return;
  }
  if ((await runningQemu(files)) !== record.qemu) throw lost('the VM was powered off, and its QEMU held it');
  if (!(await withMachine(files, (qmp) => holdsLiveSnapshot(qmp, liveSnapshot(files, record))))) {
    throw lost('QEMU could not go on holding it');
  }
}

/** A running VM's snapshot, as its QEMU knows it. */
export function liveSnapshot(files: VmFiles, record: SnapshotRecord): LiveSnapshot {
  const disks: DiskConfiguration[] = record.disks;
  return { tag: shortHash(record.id), directory: directoryOf(files, record.id), disks };
}

/** Ids may hold anything (run ids with slashes, say), so directories are named by their hash. */
function directoryOf(files: VmFiles, id: string): string {
  if (id.length === 0 || id.length > 500) throw new Error('A snapshot id must have 1 to 500 characters.');
  return join(files.snapshots, shortHash(id));
}

async function runningQemu(files: VmFiles): Promise<string | undefined> {
  const pid = await machinePid(files.machine);
  return pid === undefined ? undefined : processName(pid);
}

async function withMachine<Result>(
  files: VmFiles,
  work: Parameters<typeof withQmp<Result>>[1],
): Promise<Result> {
  return withQmp(await qmpSocketOf(files.machine), work);
}

/** The monitor of a running VM. */
export async function monitorOf(files: VmFiles): Promise<Monitor> {
  const socket = await qmpSocketOf(files.machine);
  return { run: (work) => withQmp(socket, work), nbdSocket: socket.replace(/\.qmp$/, '.nbd') };
}

async function readRecord(files: VmFiles, id: string): Promise<SnapshotRecord | undefined> {
  try {
    return snapshotRecord.parse(
      JSON.parse(await readFile(join(directoryOf(files, id), 'snapshot.json'), 'utf8')),
    );
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

function writeRecord(files: VmFiles, record: SnapshotRecord): Promise<void> {
  return writeFileAtomically(
    join(directoryOf(files, record.id), 'snapshot.json'),
    JSON.stringify(record, null, 2),
  );
}
