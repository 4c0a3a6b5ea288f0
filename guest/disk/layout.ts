import { type FileSystemIdentity, identifyFileSystem } from './identity';
import { encryptedByBitLocker, isBitLocker } from '../windows/bitlocker';
import { readPartitionTable, type Partition, type PartitionTable } from './partitions';
import { openSystem } from './system-mounts';
import { withGuest } from '../files/open-guest';
import { GuestNotAdaptableError } from '../port';

/** Where the guest's root file system is on its boot disk. */
export interface GuestLayout {
  table: PartitionTable;
  root: FoundPartition;
  partitions: FoundPartition[];
}

export interface FoundPartition extends Partition {
  identity: FileSystemIdentity;
}

const EXT = /^ext[234]$/;

/**
 * Finds the root file system: the one that has /etc/fstab and /etc/os-release.
 * @throws GuestNotAdaptableError where there is none, more than one, or none that can be read
 * @throws ToolTooOldError where that may be the one that this host's tools are too old for
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
  const failures: unknown[] = [];
  for (const partition of partitions) {
    if (!EXT.test(partition.identity.type ?? '')) continue;
    try {
      if (await holdsRoot(diskPath, partition)) roots.push(partition);
    } catch (error) {
      // Another file system than the root may be as it likes.
      failures.push(error);
    }
  }
  const [root, another] = roots;
  if (root === undefined) {
    for (const { number, offset } of partitions) {
      if (await isBitLocker(diskPath, offset)) throw encryptedByBitLocker(number);
    }
    if (failures.length > 0) throw failures[0];
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

async function holdsRoot(diskPath: string, { offset, identity }: FoundPartition): Promise<boolean> {
  const mount = { mountPoint: '/', diskPath, offset, type: identity.type };
  return withGuest(
    () => openSystem([mount], false),
    async (files) =>
      // os-release is often a link, and may lead to a /usr of its own.
      (await files.realpath('/etc/fstab')) !== undefined &&
      (await files.stat('/etc/os-release')) !== undefined,
  );
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
