import { type VmRef } from '../vm';
import { type Site } from '../site';
import {
  consolidateWhereNeeded,
  devicesAt,
  type OwnSnapshot,
  removeSnapshot,
  snapshotsOf,
  sortOut,
} from './snapshots';
import { disksOf } from '../devices';
import { isFault } from '../vim/faults';

/**
 * What workers that died have left: disks attached to the proxy, snapshots on which VMs go on writing into growing files, and files
 * that wait for consolidation. No file of a disk is ever deleted here.
 */

/** Clears what is left of earlier backups of a VM, before the next one. @param except the snapshot that is in use now */
export async function clearVm(site: Site, vm: VmRef, except: string | undefined): Promise<void> {
  await site.hotAdd.releaseAbandoned();
  await removeStale(site, vm, (await snapshotsOf(site.client, vm)).own, except, true);
  try {
    await consolidateWhereNeeded(site.client, vm);
  } catch (error) {
    // Another's work has the files open. The VM is backed up all the same, and a note tells.
    if (!isFault(error, 'FileLocked')) throw error;
  }
}

/**
 * Clears the whole data centre; for when a worker starts.
 * @returns what was done, one sentence each
 */
export async function clearAll(site: Site): Promise<string[]> {
  const { client, inventory, hotAdd } = site;
  const done = (await hotAdd.releaseAbandoned()).map(
    (file) => `The backup proxy has let ${file} go, which no work had open.`,
  );
  const vms = await client.list('VirtualMachine', ['name', 'snapshot'], await inventory.datacenter());
  for (const { ref, name, snapshot } of vms) {
    const removed = await removeStale(site, ref, sortOut(snapshot?.rootSnapshotList).own, undefined, false);
    if (removed === 0) continue;
    await consolidateWhereNeeded(client, ref);
    done.push(
      `${name ?? ref.value}: ${removed} snapshot(s) of backups that ended without removing them are gone.`,
    );
  }
  return done;
}

/**
 * Lets go of a snapshot's disks, then of the snapshot: the other way round, its files could not be merged. One that has gone is no
 * error: vCenter may end what a worker had asked for that has died since.
 */
export async function releaseOne({ client, hotAdd }: Site, { ref }: OwnSnapshot): Promise<void> {
  const devices = await devicesAt(client, ref);
  if (devices === undefined) return;
  const files = new Set(disksOf(devices).map(({ backing }) => backing.fileName));
  await hotAdd.release(({ backing }) => files.has(backing.fileName));
  await removeSnapshot(client, ref);
}

async function removeStale(
  site: Site,
  vm: VmRef,
  own: readonly OwnSnapshot[],
  except: string | undefined,
  nextBegins: boolean,
): Promise<number> {
  if (own.length === 0) return 0;
  const proxy = (await site.inventory.proxy()).value;
  let removed = 0;
  for (const snapshot of own) {
    if (snapshot.description.id === except) continue;
    if (!(await site.uses.isStale(vm, snapshot, proxy, nextBegins))) continue;
    await releaseOne(site, snapshot);
    await site.uses.giveUp(vm, snapshot.description.id);
    removed++;
  }
  return removed;
}
