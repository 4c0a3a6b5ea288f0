import { randomBytes } from 'node:crypto';
import { open } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { SECTOR } from './vmdk-header';

/**
 * Makes empty VMDKs for failback to write into: monolithicFlat, as VMware itself keeps the disks of running VMs. The
 * descriptor is a text; a file beside it has the disk's bytes, so that the copy writes to that file and to nothing
 * between, and what was never written is a hole of it. docs/local-data-centre.md has figures.
 */

/** A geometry as VMware computes it for SCSI disks; nothing here reads it. */
const HEADS = 255;
const SECTORS_A_TRACK = 63;

/** Makes an empty disk; files that are there are replaced. */
export async function createVmdk(path: string, sizeBytes: number): Promise<void> {
  const flat = join(dirname(path), `${basename(path, '.vmdk')}-flat.vmdk`);
  // The descriptor last: a disk without bytes would be an error, bytes without a disk are nothing.
  await writeFile(flat, '', sizeBytes);
  const text = descriptor(basename(flat), sizeBytes / SECTOR);
  await writeFile(path, text, Buffer.byteLength(text));
}

/** A file that begins with `text`, is a hole from there to its end, and is on the disk. */
async function writeFile(path: string, text: string, sizeBytes: number): Promise<void> {
  const file = await open(path, 'w', 0o644);
  try {
    await file.writeFile(text);
    await file.truncate(sizeBytes);
    await file.sync();
  } finally {
    await file.close();
  }
}

function descriptor(flat: string, sectors: number): string {
  return [
    '# Disk DescriptorFile',
    'version=1',
    // Never ffffffff, which stands for no disk.
    `CID=0${randomBytes(4).toString('hex').slice(1)}`,
    'parentCID=ffffffff',
    'createType="monolithicFlat"',
    '',
    '# Extent description',
    `RW ${sectors} FLAT "${flat}" 0`,
    '',
    '# The Disk Data Base',
    '#DDB',
    '',
    'ddb.virtualHWVersion = "4"',
    `ddb.geometry.cylinders = "${Math.ceil(sectors / (HEADS * SECTORS_A_TRACK))}"`,
    `ddb.geometry.heads = "${HEADS}"`,
    `ddb.geometry.sectors = "${SECTORS_A_TRACK}"`,
    'ddb.adapterType = "lsilogic"',
    '',
  ].join('\n');
}
