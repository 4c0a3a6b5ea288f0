import { type ApplianceFileSystem } from '../files/appliance/file-system';
import { ApplianceGuest, isMountable, isNtfs } from '../files/appliance/guest';
import { findVolume, type Volume } from '../files/appliance/volumes';
import { MountedFiles } from '../files/mounted-files';
import { withGuest } from '../files/open-guest';
import { type GuestFiles } from '../files/port';
import { type GuestSystem } from '../guest-system';
import { type FstabEntry } from '../linux/disks/fstab';
import { learnDisks } from '../linux/disks/learn-disks';
import { GuestNotAdaptableError, type OtherDisks } from '../port';
import { DeviceNames } from './device-names';
import { type DiskContent } from './guest-disks';
import { type FileSystemSource, openSystem, systemMounts, type SystemMount } from './system-mounts';
import { expectBasicDisk, expectSwitchedOff, findWindows } from './windows-volume';
import { encryptedByBitLocker } from '../windows/bitlocker';

/** The boot disk is the first that the appliance is given. */
const BOOT_DISK = '/dev/nvme0n1';
/** Most subvolumes of a btrfs that are looked into for the system: snapshots of it may be many, and its default one is first. */
const MAX_SUBVOLUMES = 20;

/**
 * A guest's system on whatever file systems and volumes an appliance opens, with all of the VM's disks in it.
 * @param mode with 'look', nothing reaches the disks
 * @throws GuestNotAdaptableError where there is none, more than one, or a part of it cannot be opened
 * @throws ApplianceMissingError, ToolMissingError where this host lacks something
 */
export async function openApplianceSystem(
  diskPath: string,
  others: OtherDisks,
  mode: 'look' | 'write',
): Promise<GuestSystem> {
  const names = await DeviceNames.read(diskPath, others);
  const diskPaths = [diskPath, ...others.dataDisks.map((disk) => disk.diskPath)];
  const guest = await ApplianceGuest.start(diskPaths, mode);
  try {
    const root = await findRoot(guest, diskPath);
    const sources = new Sources(guest, names, diskPaths);
    const rootMount = { mountPoint: '/', source: sources.of(root.volume, root.subvolume) };
    let system: SystemMount[] = [rootMount];
    // Windows has the files of its system on one volume.
    if (isNtfs(root.volume)) {
      await expectBasicDisk(diskPaths[diskOf(root.volume)] ?? diskPath);
      await expectSwitchedOff(guest, root.volume);
    } else {
      await withGuest(
        () => openSystem(system, false),
        (files) => learnDisks(files, sources.contentOf(root.volume), names),
      );
      system = await systemMounts(rootMount.source, (entry) => sources.find(entry));
    }
    return {
      names,
      warnings: guest.warnings,
      open: () => openSystem(system, true),
      openReadOnly: () => openSystem(system, false),
      // Mounting has replayed the logs, and what is written there is written by a kernel, which leaves nothing half done.
      replay: () => Promise.resolve(),
      finish: () => guest.finish(),
      abandon: () => guest.kill(),
    };
  } catch (error) {
    await guest.kill();
    throw error;
  }
}

/** Place, among the disks that the appliance was given, of the one that a volume of Windows is on. */
function diskOf({ device }: Volume): number {
  return Number(/^\/dev\/nvme0n(\d+)/.exec(device)?.[1]) - 1;
}

interface FoundRoot {
  volume: Volume;
  subvolume: string | undefined;
}

/** The file system with /etc/fstab and /etc/os-release, or with Windows' registry. */
async function findRoot(guest: ApplianceGuest, bootDiskPath: string): Promise<FoundRoot> {
  const roots: FoundRoot[] = [];
  const failures: unknown[] = [];
  for (const volume of guest.volumes.filter(({ type }) => isMountable(type))) {
    try {
      const found = await rootOn(guest, volume);
      if (found === undefined) await guest.unmount(volume);
      else roots.push(found);
    } catch (error) {
      // Another file system than the root may be as it likes.
      if (!(error instanceof GuestNotAdaptableError)) throw error;
      failures.push(error);
    }
  }
  // A data disk of a Linux may hold anything; what its own file systems hold comes first.
  if (roots.length === 0) {
    const windows = await findWindows(guest, BOOT_DISK);
    roots.push(...windows.volumes.map((volume) => ({ volume, subvolume: undefined })));
    failures.push(...windows.failures);
  }
  const [root, another] = roots;
  if (another !== undefined)
    throw new GuestNotAdaptableError(
      `${roots.map(({ volume }) => volume.device).join(' and ')} of the guest both hold an operating system ` +
        '(/etc/fstab and /etc/os-release, or Windows), and which one boots cannot be told. Remove one, or exclude its disk.',
    );
  if (root !== undefined) return root;
  if (failures.length === 0) await expectBasicDisk(bootDiskPath);
  throw failures[0] ?? encryptedWindows(guest.volumes) ?? noSystem(guest.volumes);
}

/** Where no Windows is found, and the boot disk has a volume that BitLocker encrypts, that is where it is. */
function encryptedWindows(volumes: Volume[]): GuestNotAdaptableError | undefined {
  for (const { device, type } of volumes) {
    const partition = new RegExp(`^${BOOT_DISK}p(\\d+)$`).exec(device)?.[1];
    if (type === 'BitLocker' && partition !== undefined) return encryptedByBitLocker(Number(partition));
  }
  return undefined;
}

function noSystem(volumes: Volume[]): GuestNotAdaptableError {
  return new GuestNotAdaptableError(
    `No file system of the guest has /etc/fstab and /etc/os-release, or Windows (${volumes.map(({ device, type }) => `${device}: ${type}`).join(', ') || 'nothing is recognized'}).` +
      (volumes.some(({ type }) => type === 'crypto_LUKS')
        ? ' Some of it is encrypted (LUKS); an encrypted guest cannot be prepared from outside.'
        : ''),
  );
}

async function rootOn(guest: ApplianceGuest, volume: Volume): Promise<FoundRoot | undefined> {
  if (await holdsRoot(await guest.mount(volume))) return { volume, subvolume: undefined };
  for (const subvolume of (await guest.subvolumes(volume)).slice(0, MAX_SUBVOLUMES)) {
    if (await holdsRoot(await guest.mount(volume, subvolume))) return { volume, subvolume };
    await guest.unmount(volume, subvolume);
  }
  return undefined;
}

async function holdsRoot(fileSystem: ApplianceFileSystem): Promise<boolean> {
  const files: GuestFiles = new MountedFiles([{ mountPoint: '/', fileSystem }]);
  return (
    (await files.realpath('/etc/fstab')) !== undefined && (await files.stat('/etc/os-release')) !== undefined
  );
}

/** What names of the guest's fstab mean among what the appliance sees. */
class Sources {
  constructor(
    private readonly guest: ApplianceGuest,
    private readonly names: DeviceNames,
    private readonly diskPaths: string[],
  ) {}

  of(volume: Volume, subvolume?: string): FileSystemSource {
    return {
      key: `${volume.device} ${subvolume ?? ''}`,
      open: () => this.guest.mount(volume, subvolume),
    };
  }

  async find({ device, mountPoint, type, options }: FstabEntry): Promise<FileSystemSource> {
    const volume = findVolume(this.guest.volumes, device) ?? this.byPlace(device);
    if (volume === undefined)
      throw new GuestNotAdaptableError(
        `The guest mounts ${mountPoint} from ${device} (${type}), and that is on none of the VM's disks that can be read. ` +
          `${mountPoint} is needed for the boot: see that the disk is backed up, and name it by UUID= in the guest's /etc/fstab.`,
      );
    if (!isMountable(volume.type))
      throw new GuestNotAdaptableError(
        `The guest mounts ${mountPoint} from ${device} (${volume.type}), and that is no file system that can be written from outside.`,
      );
    const subvolume = options.map((option) => /^subvol=\/*(.+)$/.exec(option)?.[1]).find(Boolean);
    return this.of(volume, volume.type === 'btrfs' ? subvolume : undefined);
  }

  /** What a volume is among the contents of the VM's disks; one of LVM is none of them. */
  contentOf(volume: Volume): DiskContent {
    const content = this.names.contents.find((one) => this.deviceOf(one) === volume.device);
    if (content !== undefined) return content;
    const { type, uuid } = volume;
    const identity = { type, ...(uuid === undefined ? {} : { uuid }) };
    return { diskPath: '', offset: 0, identity, partition: undefined, physicalVolume: undefined };
  }

  private byPlace(device: string): Volume | undefined {
    const content = this.names.find(device);
    const found = content === undefined ? undefined : this.deviceOf(content);
    return this.guest.volumes.find((one) => one.device === found);
  }

  /** Name in the appliance of what is on a disk. */
  private deviceOf({ diskPath, partition }: DiskContent): string {
    const disk = `/dev/nvme0n${this.diskPaths.indexOf(diskPath) + 1}`;
    return partition === undefined ? disk : `${disk}p${partition.number}`;
  }
}
