import { mergeAreas } from '../../areas';
import { type DiskArea } from '../../port';
import { knownFault, readMarker, trackedThroughout, whyMarkerIsVoid } from './cbt-guards';
import { type DiskDevice, disksOf } from '../devices';
import { type VmRef } from '../vm';
import { type OwnSnapshot, snapshotsOf } from './snapshots';
import { type VimClient } from '../vim/client';
import { isFault } from '../vim/faults';
import { type DiskChangeInfo } from '../vim/schema';

/** Asks for everything that is in use, or has been. */
const EVERYTHING = '*';

/** The areas as the port has them; undefined where there is any doubt. */
export async function changedAreas(
  client: VimClient,
  vm: VmRef,
  snapshot: OwnSnapshot,
  disk: DiskDevice,
  since: string | undefined,
): Promise<DiskArea[] | undefined> {
  if (!(await tracksReliably(client, vm, snapshot, disk))) return undefined;
  let changeId = EVERYTHING;
  if (since !== undefined) {
    const marker = readMarker(since);
    if (marker === undefined || whyMarkerIsVoid(marker, disk) !== undefined) return undefined;
    changeId = marker.changeId;
  }
  try {
    return await collectPages(disk.sizeBytes, (startOffset) =>
      client.call('QueryChangedDiskAreas', vm, {
        snapshot: snapshot.ref,
        deviceKey: disk.device.key,
        startOffset,
        changeId,
      }),
    );
  } catch (error) {
    // vSphere's way to say that it cannot tell: an id that it no longer knows, tracking that was reset or is damaged.
    if (isFault(error, 'FileFault')) return undefined;
    if (isFault(error, 'InvalidArgument') && 'invalidProperty' in error.fault)
      if (error.fault.invalidProperty === 'changeId') return undefined;
    throw error;
  }
}

async function tracksReliably(
  client: VimClient,
  vm: VmRef,
  snapshot: OwnSnapshot,
  disk: DiskDevice,
): Promise<boolean> {
  if (disk.backing.changeId === undefined) return false;
  if (!trackedThroughout(disk, await standingDisks(client, vm, snapshot))) return false;
  const { 'runtime.host': host } = await client.get(vm, 'runtime.host');
  if (host === undefined) return true;
  const { 'summary.config.product': product } = await client.get(host, 'summary.config.product');
  return knownFault(product?.version) === undefined;
}

/** Disks of a VM's snapshots but one. */
export async function standingDisks(
  client: VimClient,
  vm: VmRef,
  except: OwnSnapshot,
): Promise<DiskDevice[]> {
  const { own, others } = await snapshotsOf(client, vm);
  const standing: DiskDevice[] = [];
  for (const { ref } of [...own, ...others].filter((one) => one.ref.value !== except.ref.value)) {
    const { 'config.hardware.device': devices } = await client.get(ref, 'config.hardware.device');
    standing.push(...disksOf(devices ?? []));
  }
  return standing;
}

/**
 * Puts the pages of an answer together: each says how much of the disk it is about, and the next begins there. At the disk's
 * end nothing may be asked any more. An answer that is about nothing, or about another part, is not believed.
 */
export async function collectPages(
  sizeBytes: number,
  page: (startOffset: number) => Promise<DiskChangeInfo>,
): Promise<DiskArea[] | undefined> {
  const areas: DiskArea[] = [];
  for (let offset = 0; offset < sizeBytes;) {
    const { startOffset, length, changedArea } = await page(offset);
    if (startOffset !== offset || length <= 0) return undefined;
    for (const { start, length: size } of changedArea) {
      if (start < 0 || size <= 0) return undefined;
      // Tracking has a grain, which the disk's end need not lie on.
      if (start < sizeBytes) areas.push({ offset: start, length: Math.min(size, sizeBytes - start) });
    }
    offset += length;
  }
  return mergeAreas(areas);
}
