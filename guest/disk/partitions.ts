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
  /** What PARTUUID= stands for, in lower case: GPT's, or the disk's id and the number, as in 1234abcd-01. */
  partitionUuid?: string;
  /** GPT's name of the partition, PARTLABEL=. */
  partitionLabel?: string;
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
    partitions: entries.map((entry) => {
      // sfdisk appends the number to the path of the disk, after a "p" where that ends in a digit.
      const number = Number(/\d+$/.exec(entry.node.slice(table.device.length))?.[0] ?? Number.NaN);
      const partitionUuid = table.label === 'gpt' ? entry.uuid : mbrPartitionUuid(table.id, number);
      return {
        number,
        offset: entry.start * sectorSize,
        size: entry.size * sectorSize,
        type: table.label === 'gpt' ? entry.type.toUpperCase() : entry.type.toLowerCase(),
        ...(partitionUuid !== undefined && UUID.test(partitionUuid)
          ? { partitionUuid: partitionUuid.toLowerCase() }
          : {}),
        ...(entry.name === undefined ? {} : { partitionLabel: entry.name }),
      };
    }),
  };
}

/** It goes into files of the guest. */
const UUID = /^[0-9A-Fa-f-]{11,36}$/;

/** The kernel makes one of the disk's id and the number, both in hex (block/partitions/msdos.c); none where the id is 0. */
function mbrPartitionUuid(id: string | undefined, number: number): string | undefined {
  const digits = /^0x([0-9A-Fa-f]{8})$/.exec(id ?? '')?.[1];
  if (digits === undefined || /^0+$/.test(digits)) return undefined;
  return `${digits}-${number.toString(16).padStart(2, '0')}`;
}

interface SfdiskTable {
  label: string;
  id?: string;
  device: string;
  sectorsize?: number;
  partitions?: { node: string; start: number; size: number; type: string; uuid?: string; name?: string }[];
}
