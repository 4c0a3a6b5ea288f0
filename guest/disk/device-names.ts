import { GuestNotAdaptableError, type DataDisk } from '../port';
import { identifyFileSystem, type FileSystemIdentity } from './identity';
import { readPartitionTable } from './partitions';

/** `/dev/sda`, `/dev/hdb3`, `/dev/vdc1`, `/dev/xvda2`: a disk by its place in the order of discovery. */
export const DEVICE_NAME = /^\/dev\/(?:s|h|v|xv)d([a-z]{1,2})(\d{0,3})$/;

/** Links to disks by their place on the primary site's controllers, which EC2 does not have. */
const PRIMARY_SITE_LINK = /^\/dev\/disk\/by-(?:path|id)\//;

interface NamedDisk {
  /** File system on the bare disk. */
  whole: FileSystemIdentity;
  partitions: Map<number, FileSystemIdentity>;
}

/** Knows what the guest's names for disks stood for at the primary site. */
export class DeviceNames {
  private constructor(
    private readonly disks: NamedDisk[],
    /** Letter index of the boot disk. */
    readonly bootDisk: number,
  ) {}

  /** Reads the identities of all file systems of the boot disk and the data disks, read only. */
  static async read(
    bootDiskPath: string,
    slot: number | undefined,
    dataDisks: DataDisk[],
  ): Promise<DeviceNames> {
    const taken = new Set(dataDisks.map((disk) => disk.slot));
    let bootSlot = slot ?? 0;
    if (slot === undefined) while (taken.has(bootSlot)) bootSlot++;
    if (taken.size !== dataDisks.length || taken.has(bootSlot)) {
      throw new GuestNotAdaptableError('Two disks of the VM have the same slot.');
    }
    const boot = { diskPath: bootDiskPath, slot: bootSlot };
    const ordered = [boot, ...dataDisks].sort((a, b) => a.slot - b.slot);
    const disks = await Promise.all(ordered.map((disk) => readDisk(disk.diskPath)));
    return new DeviceNames(disks, ordered.indexOf(boot));
  }

  /**
   * The name that holds on EC2 too, `UUID=…`, or undefined for what is no name of a disk by its place
   * (`UUID=`, `LABEL=`, `/dev/mapper/…`, `tmpfs`).
   * @throws GuestNotAdaptableError where there is no such disk or nothing with a UUID on it
   */
  lastingName(device: string, where: string): string | undefined {
    if (PRIMARY_SITE_LINK.test(device)) {
      throw new GuestNotAdaptableError(
        `${where} names ${device}, a place on the primary site's controllers that EC2 does not have. Name it by UUID= there.`,
      );
    }
    const identity = this.identityOf(device);
    if (identity === undefined) return undefined;
    if (identity === 'missing' || identity.uuid === undefined) {
      throw new GuestNotAdaptableError(
        `${where} names ${device}, and ${identity === 'missing' ? 'the VM has no such disk or partition' : 'nothing with a UUID is on it'}. ` +
          'Name what it means by UUID= in the guest, or mark it "nofail".',
      );
    }
    const same = this.disks
      .flatMap((disk) => [disk.whole, ...disk.partitions.values()])
      .filter((one) => one.uuid === identity.uuid);
    if (same.length > 1) {
      throw new GuestNotAdaptableError(
        `${where} names ${device}, whose UUID ${identity.uuid} another file system of the VM has, too: it cannot be told apart on EC2. Give one a new UUID.`,
      );
    }
    return `UUID=${identity.uuid}`;
  }

  /** The partition of the boot disk that a device name means; undefined where it means none of them. */
  bootPartition(device: string): number | undefined {
    const match = DEVICE_NAME.exec(device);
    if (match?.[1] === undefined || letterIndex(match[1]) !== this.bootDisk || !match[2]) return undefined;
    return Number(match[2]);
  }

  private identityOf(device: string): FileSystemIdentity | 'missing' | undefined {
    const match = DEVICE_NAME.exec(device);
    if (match?.[1] === undefined) return undefined;
    const disk = this.disks[letterIndex(match[1])];
    return (match[2] ? disk?.partitions.get(Number(match[2])) : disk?.whole) ?? 'missing';
  }
}

/** 0 for a, 25 for z, 26 for aa. */
function letterIndex(letters: string): number {
  return [...letters].reduce((index, letter) => index * 26 + letter.charCodeAt(0) - 96, 0) - 1;
}

async function readDisk(diskPath: string): Promise<NamedDisk> {
  const table = await readPartitionTable(diskPath);
  if (table === undefined) return { whole: await identifyFileSystem(diskPath), partitions: new Map() };
  const partitions = new Map<number, FileSystemIdentity>();
  for (const one of table.partitions) partitions.set(one.number, await identifyFileSystem(diskPath, one));
  return { whole: {}, partitions };
}
