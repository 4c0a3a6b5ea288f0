import { runTool } from '../../host/run-tool';
import { GuestNotAdaptableError } from '../port';

/** A partition of a whole-disk image or device. Offsets and sizes in bytes. */
export interface Partition {
  /** As Linux numbers it: the 1 of sda1. */
  number: number;
  offset: number;
  size: number;
  /** GPT type GUID in upper case, or MBR type in lower-case hex. */
  type: string;
}

export interface PartitionTable {
  label: 'dos' | 'gpt';
  partitions: Partition[];
}

const SFDISK_SECONDS = 30;
/** GPT has room for 128 entries as a rule; more is no disk that a guest boots from. */
const MAX_PARTITIONS = 256;

/**
 * Reads the MBR or GPT of a disk.
 * @returns undefined where the disk has none
 */
export async function readPartitionTable(diskPath: string): Promise<PartitionTable | undefined> {
  const { exitCode, stdout, stderr } = await runTool('sfdisk', ['-J', '--', diskPath], {
    timeoutSeconds: SFDISK_SECONDS,
  });
  if (exitCode !== 0) {
    if (/does not contain a recognized partition table/.test(stderr)) return undefined;
    throw new Error(`The partition table of ${diskPath} cannot be read: ${stderr.trim()}`);
  }
  return parsePartitionTable(stdout.toString('utf8'));
}

/** Reads the JSON that `sfdisk -J` prints. Exported for tests. */
export function parsePartitionTable(json: string): PartitionTable {
  const table = (JSON.parse(json) as { partitiontable: SfdiskTable }).partitiontable;
  if (table.label !== 'dos' && table.label !== 'gpt') {
    throw new GuestNotAdaptableError(
      `The disk has a partition table of type "${table.label}"; only MBR and GPT are supported.`,
    );
  }
  const entries = table.partitions ?? [];
  if (entries.length > MAX_PARTITIONS) {
    throw new GuestNotAdaptableError(
      `The disk has ${entries.length} partitions; at most ${MAX_PARTITIONS} are supported.`,
    );
  }
  const sectorSize = table.sectorsize ?? 512;
  return {
    label: table.label,
    partitions: entries.map((entry) => ({
      // sfdisk appends the number to the path of the disk, after a "p" where that ends in a digit.
      number: Number(/\d+$/.exec(entry.node.slice(table.device.length))?.[0] ?? Number.NaN),
      offset: entry.start * sectorSize,
      size: entry.size * sectorSize,
      type: table.label === 'gpt' ? entry.type.toUpperCase() : entry.type.toLowerCase(),
    })),
  };
}

interface SfdiskTable {
  label: string;
  device: string;
  sectorsize?: number;
  partitions?: { node: string; start: number; size: number; type: string }[];
}
