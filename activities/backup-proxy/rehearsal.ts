import { join } from 'node:path';
import { CancelledFailure } from '@temporalio/common';
import { AdaptiveLimit } from '../../blocks/limits/concurrency';
import { GuestNotAdaptableError, type GuestAdapter, LARGEST_ADAPTATION_BYTES } from '../../guest/port';
import { messageOf } from '../../host/message-of';
import { type DiskConfiguration, type Hypervisor, type OpenDisk } from '../../hypervisor/port';
import { openScratchDisk, type ScratchDisk, sweepScratchDisks } from '../../machines/scratch-disk';
import { primaryNameOf, type PrimaryVm } from '../../plan/primary-vm';
import { newestManifest } from '../../repository/backups/backups';
import { type BackupManifest, type GuestRehearsal } from '../../repository/backups/manifest';
import { guestDisks } from '../other-disks';
import { DamagedObjectError } from '../../repository/objects/json-object';
import { type ObjectStore } from '../../repository/objects/object-store';

/**
 * Whether a guest can be adapted is found out while its VM is well, not in the disaster: the adaptation is made on scratch
 * disks over a backup's snapshot, and thrown away.
 */

/** Of what changes once a month (kernels, network, disks' names), this is often enough, and costs next to nothing. */
const REHEARSED_EVERY_SECONDS = 6 * 3600;
/** Rehearsals at once on one proxy: each may need a machine of a few hundred MiB, and a core. */
const AT_ONCE = 1;

const limit = new AdaptiveLimit({ initial: AT_ONCE, most: AT_ONCE });

export interface RehearsalDependencies {
  hypervisor: Hypervisor;
  guestAdapter: GuestAdapter;
  /** For what is written to the scratch disks. */
  stateDirectory: string;
}

export interface Rehearsed extends PrimaryVm {
  backupId: string;
  disks: DiskConfiguration[];
}

/** The rehearsal of the VM's newest backup, where it is young, and nothing was wrong. */
export async function recentRehearsal(
  store: ObjectStore,
  vm: string,
  now: Date,
): Promise<GuestRehearsal | undefined> {
  const guest = (await newestReadable(store, vm))?.guest;
  if (guest?.outcome !== 'adaptable') return undefined;
  const age = (now.getTime() - Date.parse(guest.rehearsedAt)) / 1000;
  // A time in the future is no reason to believe it.
  return age >= 0 && age < REHEARSED_EVERY_SECONDS ? guest : undefined;
}

async function newestReadable(store: ObjectStore, vm: string): Promise<BackupManifest | undefined> {
  try {
    return await newestManifest(store, vm);
  } catch (error) {
    // Whoever builds on it says so; here it costs no more than trying again.
    if (error instanceof DamagedObjectError) return undefined;
    throw error;
  }
}

/** Tries the adaptation; whatever keeps it from being tried is told as that, and keeps no backup from being made. */
export function rehearse(dependencies: RehearsalDependencies, rehearsed: Rehearsed): Promise<GuestRehearsal> {
  return limit.run(async () => {
    const rehearsedAt = new Date().toISOString();
    try {
      const { family, kernels, warnings } = await adaptOnScratch(dependencies, rehearsed);
      return { rehearsedAt, outcome: 'adaptable', family, kernels, warnings };
    } catch (error) {
      if (error instanceof CancelledFailure) throw error;
      const problem = messageOf(error);
      const outcome = error instanceof GuestNotAdaptableError ? 'not adaptable' : 'unknown';
      return { rehearsedAt, outcome, problem, warnings: [] };
    }
  });
}

/** Where a proxy's scratch disks are. */
export const rehearsals = (stateDirectory: string): string => join(stateDirectory, 'rehearsals');

async function adaptOnScratch(
  { hypervisor, guestAdapter, stateDirectory }: RehearsalDependencies,
  { backupId, disks, ...names }: Rehearsed,
) {
  const open: (OpenDisk | ScratchDisk)[] = [];
  const scratches: ScratchDisk[] = [];
  const paths = new Map<string, string>();
  const parent = rehearsals(stateDirectory);
  // A worker that was killed in a rehearsal has left its own.
  await sweepScratchDisks(parent);
  try {
    for (const { key, sizeBytes } of disks) {
      const below = await hypervisor.openSnapshotDisk(primaryNameOf(names), backupId, key);
      open.unshift(below);
      const scratch = await openScratchDisk(
        { file: below.path },
        sizeBytes,
        LARGEST_ADAPTATION_BYTES,
        parent,
      );
      open.unshift(scratch);
      scratches.push(scratch);
      paths.set(key, scratch.path);
    }
    const report = await guestAdapter.adaptForRecoverySite({
      ...guestDisks(disks, ({ key }) => paths.get(key) ?? ''),
      bootScripts: [],
      hosts: [],
      runId: 'rehearsal',
    });
    for (const scratch of scratches)
      if (!(await scratch.holdsAll()))
        throw new Error('A disk on which the adaptation was tried does not hold all that was written to it.');
    return report;
  } finally {
    // The scratch disk of a disk before the disk itself.
    for (const disk of open) await disk.close();
  }
}
