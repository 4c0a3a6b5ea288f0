import { randomBytes } from 'node:crypto';
import { type FileHandle, open } from 'node:fs/promises';
import { basename } from 'node:path';
import { run } from '../../sandbox/process/run';
import { SECTOR, VMDK_MAGIC } from './vmdk-header';

/**
 * Makes empty VMDKs for failback to write into. `qemu-img create` makes sparse ones whose grains, of 64 KiB, are added
 * one by one as they are written: QEMU then updates two tables and waits for the host's disk, eight times a block.
 * Here every grain has its place from the start, in the disk's order, so that a write is a write and nothing else; it
 * is still a monolithicSparse VMDK, and what was never written is a hole of the file. docs/local-data-centre.md has
 * figures.
 */

/** A grain is a block of the copy (512 KiB): one write each, and little of tables: 16 MiB for a disk of 1 TiB. */
const GRAIN_SECTORS = 1024;

/** As VMware has it, and the most that QEMU takes. */
const ENTRIES_A_TABLE = 512;
const ENTRY_BYTES = 4;

/** Entries are sector numbers of 32 bits, so that a sparse VMDK ends at 2 TiB. */
const MAX_SECTORS = 2 ** 32;

/** The descriptor's place: as large as `qemu-img` makes it, so that programs which rewrite it have room. */
const DESCRIPTOR_SECTORS = 20;

/** Tables are written in pieces of this many entries: 1 MiB. */
const PIECE_ENTRIES = 2 ** 18;

/** Creating a flat VMDK writes next to nothing. */
const CREATE_MILLISECONDS = 60_000;

/** Makes an empty disk; a file that is there is replaced. */
export async function createVmdk(path: string, sizeBytes: number): Promise<void> {
  const layout = layOut(sizeBytes / SECTOR);
  if (layout.endSector > MAX_SECTORS) {
    // Too large for a sparse one. VMware keeps such disks flat, too: a descriptor and a file with the disk's bytes.
    const options = ['-f', 'vmdk', '-o', 'subformat=monolithicFlat'];
    await run('qemu-img', ['create', '-q', ...options, path, String(sizeBytes)], CREATE_MILLISECONDS);
    return;
  }
  const file = await open(path, 'w', 0o644);
  try {
    await writeAll(file, header(layout), 0);
    await writeAll(file, descriptor(basename(path), layout.sectors), SECTOR);
    for (const directory of [layout.redundantDirectory, layout.directory])
      await writeTables(file, layout, directory);
    await file.truncate(layout.endSector * SECTOR);
    await file.sync();
  } finally {
    await file.close();
  }
}

/** Where everything is, in sectors. */
interface Layout {
  /** Of the disk. */
  sectors: number;
  grains: number;
  tables: number;
  directorySectors: number;
  redundantDirectory: number;
  directory: number;
  firstGrain: number;
  endSector: number;
}

function layOut(sectors: number): Layout {
  const grains = Math.ceil(sectors / GRAIN_SECTORS);
  const tables = Math.ceil(grains / ENTRIES_A_TABLE);
  const directorySectors = Math.ceil((tables * ENTRY_BYTES) / SECTOR);
  const tableSectors = (tables * ENTRIES_A_TABLE * ENTRY_BYTES) / SECTOR;
  const redundantDirectory = 1 + DESCRIPTOR_SECTORS;
  const directory = redundantDirectory + directorySectors + tableSectors;
  const metadataEnd = directory + directorySectors + tableSectors;
  const firstGrain = Math.ceil(metadataEnd / GRAIN_SECTORS) * GRAIN_SECTORS;
  return {
    sectors,
    grains,
    tables,
    directorySectors,
    redundantDirectory,
    directory,
    firstGrain,
    endSector: firstGrain + grains * GRAIN_SECTORS,
  };
}

function header(layout: Layout): Buffer {
  const sector = Buffer.alloc(SECTOR);
  sector.write(VMDK_MAGIC, 0, 'latin1');
  sector.writeUInt32LE(1, 4); // version
  sector.writeUInt32LE(0b11, 8); // the line-end test below is there, and the second set of tables
  sector.writeBigUInt64LE(BigInt(layout.sectors), 12);
  sector.writeBigUInt64LE(BigInt(GRAIN_SECTORS), 20);
  sector.writeBigUInt64LE(1n, 28); // the descriptor follows
  sector.writeBigUInt64LE(BigInt(DESCRIPTOR_SECTORS), 36);
  sector.writeUInt32LE(ENTRIES_A_TABLE, 44);
  sector.writeBigUInt64LE(BigInt(layout.redundantDirectory), 48);
  sector.writeBigUInt64LE(BigInt(layout.directory), 56);
  sector.writeBigUInt64LE(BigInt(layout.firstGrain), 64);
  sector.write('\n \r\n', 73, 'latin1'); // shows a transfer as text, which would have changed it
  return sector;
}

function descriptor(file: string, sectors: number): Buffer {
  // A geometry as VMware computes it for SCSI disks; nothing here reads it.
  const cylinders = Math.ceil(sectors / (255 * 63));
  const text = [
    '# Disk DescriptorFile',
    'version=1',
    // Never ffffffff, which stands for no disk.
    `CID=0${randomBytes(4).toString('hex').slice(1)}`,
    'parentCID=ffffffff',
    'createType="monolithicSparse"',
    '',
    '# Extent description',
    `RW ${sectors} SPARSE "${file}"`,
    '',
    '# The Disk Data Base',
    '#DDB',
    '',
    'ddb.virtualHWVersion = "4"',
    `ddb.geometry.cylinders = "${cylinders}"`,
    'ddb.geometry.heads = "255"',
    'ddb.geometry.sectors = "63"',
    'ddb.adapterType = "lsilogic"',
    '',
  ].join('\n');
  const buffer = Buffer.alloc(DESCRIPTOR_SECTORS * SECTOR);
  buffer.write(text, 'latin1');
  return buffer;
}

/** Writes a grain directory and, behind it, its tables. */
async function writeTables(file: FileHandle, layout: Layout, directory: number): Promise<void> {
  const tablesAt = directory + layout.directorySectors;
  const sectorsATable = (ENTRIES_A_TABLE * ENTRY_BYTES) / SECTOR;
  await writeEntries(file, directory, layout.tables, (table) => tablesAt + table * sectorsATable);
  await writeEntries(file, tablesAt, layout.grains, (grain) => layout.firstGrain + grain * GRAIN_SECTORS);
}

async function writeEntries(
  file: FileHandle,
  atSector: number,
  count: number,
  entry: (index: number) => number,
): Promise<void> {
  for (let from = 0; from < count; from += PIECE_ENTRIES) {
    const piece = Buffer.alloc(Math.min(PIECE_ENTRIES, count - from) * ENTRY_BYTES);
    for (let i = 0; i * ENTRY_BYTES < piece.length; i++)
      piece.writeUInt32LE(entry(from + i), i * ENTRY_BYTES);
    await writeAll(file, piece, atSector * SECTOR + from * ENTRY_BYTES);
  }
}

async function writeAll(file: FileHandle, bytes: Buffer, position: number): Promise<void> {
  for (let done = 0; done < bytes.length;)
    done += (await file.write(bytes, done, bytes.length - done, position + done)).bytesWritten;
}
