import { DebugfsFileSystem } from '../files/debugfs';
import { MountedFiles, type Mount } from '../files/mounted-files';
import { type GuestFiles } from '../files/port';
import { parseFstab } from '../linux/fstab';
import { GuestNotAdaptableError } from '../port';
import { encryptedByBitLocker, isBitLocker } from '../windows/bitlocker';
import { type DeviceNames } from './device-names';
import { identifyFileSystem, type FileSystemIdentity } from './identity';
import { readPartitionTable, type Partition, type PartitionTable } from './partitions';

/** Where the file systems of the guest's operating system are on its boot disk. */
export interface GuestLayout {
  table: PartitionTable;
  root: FoundPartition;
  partitions: FoundPartition[];
}

export interface FoundPartition extends Partition {
  identity: FileSystemIdentity;
}

/** A partition that the guest's system is on, and where the guest mounts it. */
export interface SystemPartition {
  mountPoint: string;
  partition: FoundPartition;
}

/** Mount points that hold what an adaptation reads or writes, outermost first. */
const SYSTEM_MOUNT_POINTS = ['/usr', '/var', '/var/lib', '/boot', '/etc'];
const EXT = /^ext[234]$/;
/** What a file system that looks like a root, but for its type, would need. */
const MAX_FSTAB_BYTES = 1024 * 1024;

/**
 * Finds the root file system: the one that has /etc/fstab and /etc/os-release.
 * @throws GuestNotAdaptableError where there is none, more than one, or none that can be read
 */
export async function findLayout(diskPath: string): Promise<GuestLayout> {
  const table = await readPartitionTable(diskPath);
  if (table === undefined) {
    throw new GuestNotAdaptableError('The boot disk has no partition table (MBR or GPT).');
  }
  const partitions: FoundPartition[] = [];
  for (const partition of table.partitions) {
    partitions.push({ ...partition, identity: await identifyFileSystem(diskPath, partition) });
  }
  const roots: FoundPartition[] = [];
  for (const partition of partitions) {
    if (EXT.test(partition.identity.type ?? '') && (await holdsRoot(diskPath, partition)))
      roots.push(partition);
  }
  const [root, another] = roots;
  if (root === undefined) {
    for (const { number, offset } of partitions) {
      if (await isBitLocker(diskPath, offset)) throw encryptedByBitLocker(number);
    }
    throw new GuestNotAdaptableError(noRootMessage(partitions));
  }
  if (another !== undefined) {
    throw new GuestNotAdaptableError(
      `Partitions ${roots.map((one) => one.number).join(' and ')} of the boot disk both hold an operating system ` +
        '(/etc/fstab and /etc/os-release), and which one boots cannot be told. Remove one, or move it to another disk.',
    );
  }
  return { table, root, partitions };
}

/** The partitions that a guest's system is spread over, by mount point, root first. */
export async function systemPartitions(
  diskPath: string,
  layout: GuestLayout,
  names: DeviceNames,
): Promise<SystemPartition[]> {
  const files = await mountFiles(diskPath, [{ mountPoint: '/', partition: layout.root }], false);
  try {
    const fstab = parseFstab((await files.read('/etc/fstab', MAX_FSTAB_BYTES)).toString('latin1'));
    const found = [{ mountPoint: '/', partition: layout.root }];
    for (const mountPoint of SYSTEM_MOUNT_POINTS) {
      const entry = fstab.find((one) => one.mountPoint === mountPoint);
      if (entry === undefined) continue;
      const partition = layout.partitions.find((one) => isMeant(entry.device, one, names));
      if (partition === undefined || !EXT.test(partition.identity.type ?? '')) {
        throw new GuestNotAdaptableError(
          `The guest mounts ${mountPoint} from ${entry.device}, which is no ext2, ext3 or ext4 partition of its boot disk ` +
            `(${partition?.identity.type ?? 'not found there'}); this is not supported yet.`,
        );
      }
      found.push({ mountPoint, partition });
    }
    return found;
  } finally {
    await files.close();
  }
}

/** Opens the guest's file systems together. */
export async function mountFiles(
  diskPath: string,
  partitions: { mountPoint: string; partition: Partition }[],
  writable: boolean,
): Promise<GuestFiles> {
  const mounts: Mount[] = [];
  try {
    for (const { mountPoint, partition } of partitions) {
      mounts.push({
        mountPoint,
        fileSystem: await DebugfsFileSystem.open(diskPath, partition.offset, writable),
      });
    }
  } catch (error) {
    await Promise.allSettled(mounts.map((mount) => mount.fileSystem.close()));
    throw error;
  }
  return new MountedFiles(mounts);
}

async function holdsRoot(diskPath: string, partition: Partition): Promise<boolean> {
  const files = await mountFiles(diskPath, [{ mountPoint: '/', partition }], false);
  try {
    // os-release is often a link, and may lead to a /usr of its own.
    return (
      (await files.realpath('/etc/fstab')) !== undefined &&
      (await files.stat('/etc/os-release')) !== undefined
    );
  } finally {
    await files.close();
  }
}

function isMeant(device: string, partition: FoundPartition, names: DeviceNames): boolean {
  const [tag, value] = device.split('=');
  const plain = value?.replace(/^"(.*)"$/, '$1');
  if (tag === 'UUID') return partition.identity.uuid?.toLowerCase() === plain?.toLowerCase();
  if (tag === 'LABEL') return partition.identity.label !== undefined && partition.identity.label === plain;
  const byUuid = /^\/dev\/disk\/by-uuid\/([0-9A-Fa-f-]+)$/.exec(device)?.[1];
  if (byUuid !== undefined) return partition.identity.uuid?.toLowerCase() === byUuid.toLowerCase();
  return names.bootPartition(device) === partition.number;
}

function noRootMessage(partitions: FoundPartition[]): string {
  const types =
    partitions.map((one) => `${one.number}: ${one.identity.type ?? 'unknown'}`).join(', ') || 'none';
  const held = new Set(partitions.map((one) => one.identity.type));
  const family = held.has('ntfs')
    ? ' It looks like Windows, which is not supported yet.'
    : held.has('LVM2_member')
      ? ' Its root seems to be on LVM, which is not supported yet.'
      : held.has('xfs') || held.has('btrfs')
        ? ' Its root seems to be on xfs or btrfs, which is not supported yet.'
        : held.has('crypto_LUKS')
          ? ' It seems to be encrypted; an encrypted guest cannot be prepared from outside.'
          : '';
  return `No ext2, ext3 or ext4 partition of the boot disk has /etc/fstab and /etc/os-release (partitions: ${types}).${family}`;
}
