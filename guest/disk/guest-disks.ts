import { byPlace, controllerName, placeName, type DiskPlace } from '../../machines/disk-place';
import { GuestNotAdaptableError, type OtherDisks } from '../port';
import { identifyFileSystem, type FileSystemIdentity } from './identity';
import { readPartitionTable, type Partition } from './partitions';
import { readPhysicalVolume, type PhysicalVolume } from './volume-groups';

/** A disk of the VM, with what is on it. */
export interface GuestDisk extends DiskPlace {
  diskPath: string;
  boot: boolean;
  /** On the bare disk, or in its partitions. */
  contents: DiskContent[];
  /** False where its partition table is of a kind that is not read: what is on it is unknown then. */
  known: boolean;
}

/** What a partition, or a disk without partitions, holds. */
export interface DiskContent {
  diskPath: string;
  /** In bytes from the start of the disk. */
  offset: number;
  identity: FileSystemIdentity;
  /** Undefined for the bare disk. */
  partition: Partition | undefined;
  physicalVolume: PhysicalVolume | undefined;
}

/**
 * Reads what is on the VM's disks, read only, in their order.
 * @throws GuestNotAdaptableError where two disks have one place
 */
export async function readGuestDisks(
  bootDiskPath: string,
  { slot, controller, dataDisks }: OtherDisks,
): Promise<GuestDisk[]> {
  const beside = dataDisks.filter((disk) => controllerName(disk) === controllerName({ controller }));
  const taken = new Set(beside.map((disk) => disk.slot));
  let bootSlot = slot ?? 0;
  if (slot === undefined) while (taken.has(bootSlot)) bootSlot++;
  const boot = { diskPath: bootDiskPath, slot: bootSlot, controller };
  const disks = [boot, ...dataDisks];
  if (new Set(disks.map(placeName)).size !== disks.length)
    throw new GuestNotAdaptableError('Two disks of the VM have the same place.');
  return Promise.all(disks.sort(byPlace).map((disk) => readDisk(disk.diskPath, disk, disk === boot)));
}

async function readDisk(
  diskPath: string,
  { slot, controller }: DiskPlace,
  boot: boolean,
): Promise<GuestDisk> {
  const place = { slot, ...(controller === undefined ? {} : { controller }) };
  const disk: GuestDisk = { diskPath, ...place, boot, contents: [], known: true };
  let partitions: Partition[] | undefined;
  try {
    partitions = (await readPartitionTable(diskPath))?.partitions;
  } catch (error) {
    // The boot disk's table is refused where it is read for the system; what a data disk has is not needed for the boot.
    if (!(error instanceof GuestNotAdaptableError)) throw error;
    return { ...disk, known: false };
  }
  for (const partition of partitions ?? [undefined]) {
    const identity = await identifyFileSystem(diskPath, partition);
    const offset = partition?.offset ?? 0;
    const physicalVolume =
      identity.type === 'LVM2_member' ? await readPhysicalVolume(diskPath, offset) : undefined;
    disk.contents.push({ diskPath, offset, identity, partition, physicalVolume });
  }
  return disk;
}
