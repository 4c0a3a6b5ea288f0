import { type FileSystemIdentity, identifyFileSystem } from './identity';
import { encryptedByBitLocker, isBitLocker } from '../windows/bitlocker';
import { readPartitionTable, type Partition, type PartitionTable } from './partitions';
import { mayHoldSystem, NotPlainError } from './not-plain';
import { isPlain, plainSource } from './plain-source';
import { openSystem } from './system-mounts';
import { type DebugfsProcesses } from '../files/debugfs-session';
import { withGuest } from '../files/open-guest';
import { GuestNotAdaptableError } from '../port';

/** Where the guest's root file system is on its boot disk. */
export interface GuestLayout extends BootDisk {
  root: FoundPartition;
}

export interface BootDisk {
  table: PartitionTable;
  partitions: FoundPartition[];
}

export interface FoundPartition extends Partition {
  identity: FileSystemIdentity;
}

/**
 * What is on a boot disk.
 * @throws GuestNotAdaptableError where it has no partitions
 */
export async function readBootDisk(diskPath: string): Promise<BootDisk> {
  const table = await readPartitionTable(diskPath);
  if (table === undefined) {
    throw new GuestNotAdaptableError('The boot disk has no partition table (MBR or GPT).');
  }
  const partitions: FoundPartition[] = [];
  for (const partition of table.partitions) {
    partitions.push({ ...partition, identity: await identifyFileSystem(diskPath, partition) });
  }
  return { table, partitions };
}

/**
 * Finds the root file system: the one that has /etc/fstab and /etc/os-release.
 * @throws GuestNotAdaptableError where there is none, more than one, or none that can be read
 * @throws NotPlainError where something holds it, or may hold it, that the appliance opens
 * @throws ToolTooOldError where that may be the one that this host's tools are too old for
 */
export async function findLayout(diskPath: string, debugfs?: DebugfsProcesses): Promise<GuestLayout> {
  const { table, partitions } = await readBootDisk(diskPath);
  const roots: FoundPartition[] = [];
  const failures: unknown[] = [];
  for (const partition of partitions) {
    if (!isPlain(partition.identity.type)) continue;
    try {
      if (await holdsRoot(diskPath, partition, debugfs)) roots.push(partition);
    } catch (error) {
      // Another file system than the root may be as it likes.
      failures.push(error);
    }
  }
  const [root, another] = roots;
  if (root === undefined) {
    if (partitions.some(({ identity }) => mayHoldSystem(identity.type) && !isPlain(identity.type)))
      throw new NotPlainError(noRootMessage(partitions));
    // Windows' small partitions are never encrypted: where there is none, this is the reason.
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

async function holdsRoot(
  diskPath: string,
  { offset }: FoundPartition,
  debugfs?: DebugfsProcesses,
): Promise<boolean> {
  const mount = { mountPoint: '/', source: plainSource({ diskPath, offset }, debugfs) };
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
  const family = held.has('crypto_LUKS')
    ? ' It seems to be encrypted (LUKS); an encrypted guest cannot be prepared from outside.'
    : '';
  return `No file system of the boot disk that can be opened has /etc/fstab and /etc/os-release (partitions: ${types}).${family}`;
}
