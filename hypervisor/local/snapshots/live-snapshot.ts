import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { diskNode, nodeSuffix } from '../../../machines/hardware';
import { type QmpClient } from '../../../machines/qmp';
import { toolOutput } from '../../../host/run-tool';
import { type DiskConfiguration } from '../../port';
import { nextIntervalActions } from './live-bitmaps';

/**
 * The disks of a running VM at one instant, by what QEMU calls image fleecing: a backup job in mode `none` copies
 * a part of a disk aside, into a temporary overlay, before the guest overwrites it; the overlay, backed by the
 * disk, is the disk as it was. One transaction starts the jobs of all disks. QEMU itself holds the snapshot and
 * exports it by FUSE, so it lives as long as the VM's QEMU, whoever took it.
 */

/** Which snapshot of which machine: node, job and export names are made from `tag` (12 hex digits). */
export interface LiveSnapshot {
  tag: string;
  /** Where overlays and mount points are. */
  directory: string;
  disks: DiskConfiguration[];
}

/** Taking down a snapshot waits for reads in flight. */
const RELEASE_MILLISECONDS = 30_000;

/** Path of the file that shows a disk of the snapshot. */
export function snapshotDiskPath(snapshot: Pick<LiveSnapshot, 'directory'>, key: string): string {
  return join(snapshot.directory, `${key}.raw`);
}

/** Takes the snapshot and exports it. What a failure leaves behind is removed by {@link removeLiveSnapshot}. */
export async function takeLiveSnapshot(qmp: QmpClient, snapshot: LiveSnapshot): Promise<void> {
  for (const disk of snapshot.disks) {
    const overlay = join(snapshot.directory, `${disk.key}.qcow2`);
    await toolOutput('qemu-img', ['create', '-q', '-f', 'qcow2', overlay, String(disk.sizeBytes)]);
    await qmp.execute('blockdev-add', {
      driver: 'qcow2',
      'node-name': nodeName(snapshot, disk),
      // It is worth nothing after this QEMU's end, so the host need not flush it.
      cache: { 'no-flush': true },
      file: { driver: 'file', filename: overlay, cache: { 'no-flush': true } },
      backing: diskNode(disk),
    });
  }
  const jobs = snapshot.disks.map((disk) => ({
    type: 'blockdev-backup',
    data: {
      'job-id': nodeName(snapshot, disk),
      device: diskNode(disk),
      target: nodeName(snapshot, disk),
      sync: 'none',
    },
  }));
  // The transaction first waits for all writes in flight, and a job's action holds its disk's new ones back until the
  // end: so the bitmaps, which come after, change hands at the very instant that the snapshot is of.
  const intervals = await nextIntervalActions(qmp, snapshot.disks, snapshot.tag);
  await qmp.execute('transaction', { actions: [...jobs, ...intervals] });
  for (const disk of snapshot.disks) {
    const mountpoint = snapshotDiskPath(snapshot, disk.key);
    await writeFile(mountpoint, '');
    await qmp.execute('block-export-add', {
      type: 'fuse',
      id: nodeName(snapshot, disk),
      'node-name': nodeName(snapshot, disk),
      mountpoint,
      writable: false,
    });
  }
}

/** Whether this QEMU still holds the snapshot, all disks of it. */
export async function holdsLiveSnapshot(qmp: QmpClient, snapshot: LiveSnapshot): Promise<boolean> {
  const jobs = await jobIds(qmp);
  const exports = await exportIds(qmp);
  return snapshot.disks.every((disk) => {
    const name = nodeName(snapshot, disk);
    return jobs.includes(name) && exports.includes(name);
  });
}

/**
 * Takes exports, jobs and overlays off again, as far as they exist. The files stay, and so do the bitmaps: they tell
 * what a later snapshot differs in.
 */
export async function removeLiveSnapshot(qmp: QmpClient, snapshot: LiveSnapshot): Promise<void> {
  const names = snapshot.disks.map((disk) => nodeName(snapshot, disk));
  const ours = (existing: string[]) => names.filter((name) => existing.includes(name));

  for (const id of ours(await exportIds(qmp))) await qmp.execute('block-export-del', { id, mode: 'hard' });
  await until(async () => ours(await exportIds(qmp)).length === 0, 'export');
  for (const device of ours(await jobIds(qmp)))
    await qmp.execute('block-job-cancel', { device, force: true });
  await until(async () => ours(await jobIds(qmp)).length === 0, 'job');
  const nodes = await qmp.execute<{ 'node-name': string }[]>('query-named-block-nodes', { flat: true });
  for (const name of ours(nodes.map((node) => node['node-name']))) {
    await qmp.execute('blockdev-del', { 'node-name': name });
  }
}

/** At most 31 characters, as QEMU demands of node names. */
export function nodeName(snapshot: LiveSnapshot, disk: DiskConfiguration): string {
  return `snapshot-${snapshot.tag}-${nodeSuffix(disk)}`;
}

async function jobIds(qmp: QmpClient): Promise<string[]> {
  return (await qmp.execute<{ id: string }[]>('query-jobs')).map((job) => job.id);
}

async function exportIds(qmp: QmpClient): Promise<string[]> {
  return (await qmp.execute<{ id: string }[]>('query-block-exports')).map((found) => found.id);
}

async function until(done: () => Promise<boolean>, what: string): Promise<void> {
  const deadline = Date.now() + RELEASE_MILLISECONDS;
  while (!(await done())) {
    if (Date.now() > deadline) throw new Error(`QEMU does not give up the snapshot's ${what}s.`);
    await sleep(20);
  }
}
