import { BLOCK_SIZE } from '../../blocks/port';
import { type DiskArea } from '../../hypervisor/port';
import { openBlockMap, readManifest } from '../../repository/backups/backups';
import { entriesOf } from '../support/block-maps';
import { type CopySite, inActivity, VM } from './copy-site';

/** Backups of the copy site's VM, by number. */

/** Ids in the order of their numbers, up to 9. */
export const idOf = (n: number): string => `20261123T18150${n}Z-0000000${n}`;

/** Backs all disks of the VM up, as the workflow does, but for the rehearsal of an adaptation. */
export async function backUp(
  site: CopySite,
  n: number,
  { run = site.run, activities = site.activities() } = {},
) {
  const backupId = idOf(n);
  const snapshot = await inActivity(activities.snapshotVm, { run, vm: VM, backupId });
  const disks = [];
  for (const { key } of snapshot.configuration.disks)
    disks.push({
      key,
      ...(await inActivity(activities.backupDisk, { run, vm: VM, backupId, diskKey: key })),
    });
  return inActivity(activities.finishBackup, { run, vm: VM, backupId, ...snapshot, disks });
}

/** The blocks of a backup's first disk that are no zeros, each by its index and its SHA-256. */
export async function storedBlocks(site: CopySite, n: number): Promise<[number, string][]> {
  const manifest = await readManifest(site.store, VM, idOf(n));
  const map = await openBlockMap(site.store, VM, manifest!.disks[0]!);
  return (await entriesOf(map)).map(({ index, sha256 }) => [index, sha256.toString('hex')]);
}

/** An area inside of that block. */
export const areaOf = (index: number): DiskArea => ({ offset: index * BLOCK_SIZE, length: 512 });

/**
 * Lets the hypervisor tell of areas: of those that have changed since a marker, or that hold data where there is none.
 * @returns the markers that it was asked with
 */
export function tellAreas(
  site: CopySite,
  areas: (since?: string) => DiskArea[] | undefined,
): (string | undefined)[] {
  const asked: (string | undefined)[] = [];
  Object.assign(site.hypervisor, {
    changedAreas: (_vm: string, _snapshot: string, _disk: string, since?: string) => {
      asked.push(since);
      return Promise.resolve(areas(since));
    },
  });
  return asked;
}
