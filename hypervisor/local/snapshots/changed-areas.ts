import { type DiskArea, type DiskConfiguration } from '../../port';
import { clipAreas } from '../../areas';
import { checkImage } from '../images/image-check';
import { allocatedAreas, MapTooLongError } from '../images/image-map';
import { intervalsBetween, intervalsOf } from './live-bitmaps';
import { allocatedInSnapshot, writtenAreas } from './live-map';
import { findPastSnapshot, imageStamp, type PastSnapshot } from './snapshot-history';
import { imageForQemu } from '../images/qemu-image';
import { type SnapshotRecord } from './snapshot-record';
import { liveSnapshot, monitorOf } from './snapshots';
import { shortHash, type VmFiles } from '../vm-files';

/** See the port. The snapshot is there, and the caller holds the VM's lock. */
export async function changedAreas(
  files: VmFiles,
  record: SnapshotRecord,
  disk: DiskConfiguration,
  since?: string,
): Promise<DiskArea[] | undefined> {
  try {
    const areas =
      since === undefined
        ? await allocated(files, record, disk)
        : await changedSince(files, record, disk, await findPastSnapshot(files, since));
    return areas && clipAreas(areas, disk.sizeBytes);
  } catch (error) {
    // Comparing every block takes longer, but ends.
    if (error instanceof MapTooLongError) return undefined;
    throw error;
  }
}

async function changedSince(
  files: VmFiles,
  record: SnapshotRecord,
  disk: DiskConfiguration,
  earlier: PastSnapshot | undefined,
): Promise<DiskArea[] | undefined> {
  if (earlier?.disks.find(({ key }) => key === disk.key)?.sizeBytes !== disk.sizeBytes) return undefined;
  if (record.qemu === undefined) {
    if (earlier.revision !== record.revision) return undefined;
    const stamp = await imageStamp(files);
    return stamp !== undefined && earlier.stamp === stamp ? [] : undefined;
  }
  if (earlier.qemu !== record.qemu) return undefined;
  const monitor = await monitorOf(files);
  const known = await monitor.run((qmp) => intervalsOf(qmp, disk));
  const intervals = intervalsBetween(known, shortHash(earlier.id), shortHash(record.id));
  return intervals && writtenAreas(monitor, disk, intervals);
}

async function allocated(
  files: VmFiles,
  record: SnapshotRecord,
  disk: DiskConfiguration,
): Promise<DiskArea[]> {
  const image = files.image(await files.read(), disk.key);
  const checked = await checkImage(image, disk.sizeBytes);
  const opened = await imageForQemu(image, checked, files.parts(disk.key));
  if (record.qemu === undefined) return allocatedAreas(opened, checked.files);
  return allocatedInSnapshot(
    await monitorOf(files),
    liveSnapshot(files, record),
    disk,
    opened,
    checked.files,
  );
}
