/**
 * NTFS volumes in states that no program of Linux leaves them in, made byte by byte after the structures of ntfs-3g (logfile.h,
 * layout.h), as no disk of a Windows may be given on with this project.
 */

const PAGE = 4096;
const SECTOR = 512;
const MFT_RECORD = 1024;
const LOG_FILE = 2;
const VOLUME = 3;
const BITMAP = 6;
const VOLUME_INFORMATION = 0x70;
const DATA = 0x80;
/** With version 2.0 the last pages are first written to the beginning of the log; what is further on comes after them. */
const TAIL = 2;
const FIRST_PAGE = 34;
const LAST_PAGE = FIRST_PAGE + 1;
const RECORDS_AT = 0x40;

const NOOP = 0;
const UPDATE_RESIDENT_VALUE = 7;
const FORGET_TRANSACTION = 27;

/** A change of bytes in a small file, which NTFS keeps in its file table. */
export interface LoggedChange {
  from: string;
  to: string;
  committed: boolean;
}

/**
 * Puts a log into a volume as Windows 8 and later leave it when their machine loses its power: version 2.0, not ended, with changes that
 * were committed and are not yet where they belong, and others that were not.
 * @param volume content of the volume, which is changed
 */
export function leaveUnended(volume: Buffer, changes: LoggedChange[]): void {
  const { cluster, mft } = geometry(volume);
  const log = runOf(volume.subarray(mft + LOG_FILE * MFT_RECORD), cluster);
  const bits = 67 - log.size.toString(2).length;
  /** Log sequence number of a record: where it is in the log, and the round of the log in the bits above. */
  const lsn = (page: number, inPage: number): bigint =>
    (9n << BigInt(64 - bits)) | BigInt((page * PAGE + inPage) / 8);

  const records = [checkpoint()];
  changes.forEach(({ from, to, committed }, index) => {
    const transaction = 0x18 + 0x28 * index;
    records.push(update(volume, mft, cluster, transaction, from, to));
    if (committed) records.push(standard(transaction, FORGET_TRANSACTION, 0x58));
  });
  const oldest = lsn(LAST_PAGE, RECORDS_AT);
  // An earlier page, full to its end.
  const before = recordPage([standard(0x10, NOOP, PAGE - RECORDS_AT - 0x10)], (at) => lsn(FIRST_PAGE, at));
  const page = recordPage(records, (at) => lsn(LAST_PAGE, at));
  const last = page.readBigUInt64LE(0x08);

  const restart = restartPage(log.size, bits, oldest, last);
  for (const [at, content] of [
    [0, restart],
    [1, restart],
    [TAIL, page],
    [FIRST_PAGE, before],
    [LAST_PAGE, page],
  ] as const)
    content.copy(volume, log.at + at * PAGE);
}

function recordPage(records: Buffer[], lsnAt: (inPage: number) => bigint): Buffer {
  const page = Buffer.alloc(PAGE);
  page.write('RCRD');
  let end = RECORDS_AT;
  let last = 0n;
  for (const record of records) {
    last = lsnAt(end);
    record.writeBigUInt64LE(last, 0);
    record.writeUInt32LE(record.length - 0x30, 0x18);
    record.copy(page, end);
    end += record.length;
  }
  page.writeBigUInt64LE(last, 0x08);
  page.writeUInt32LE(1, 0x10); // a record ends here
  page.writeUInt16LE(1, 0x14);
  page.writeUInt16LE(1, 0x16);
  page.writeUInt16LE(end, 0x18);
  page.writeBigUInt64LE(last, 0x20);
  protect(page, 0x28);
  return page;
}

function restartPage(fileSize: number, bits: number, oldest: bigint, last: bigint): Buffer {
  const page = Buffer.alloc(PAGE);
  page.write('RSTR');
  page.writeUInt32LE(PAGE, 0x10);
  page.writeUInt32LE(PAGE, 0x14);
  page.writeUInt16LE(0x30, 0x18);
  page.writeUInt16LE(0, 0x1a); // version 2.0: minor, major
  page.writeUInt16LE(2, 0x1c);
  const area = page.subarray(0x30);
  area.writeBigUInt64LE(last, 0);
  area.writeUInt16LE(1, 0x08); // one client, NTFS, which has the log open
  area.writeUInt16LE(0xffff, 0x0a);
  area.writeUInt16LE(0, 0x0c);
  area.writeUInt16LE(0, 0x0e); // not marked as clean
  area.writeUInt32LE(bits, 0x10);
  area.writeUInt16LE(0x40 + 0xa0, 0x14);
  area.writeUInt16LE(0x40, 0x16);
  area.writeBigUInt64LE(BigInt(fileSize), 0x18);
  area.writeUInt16LE(0x30, 0x24);
  area.writeUInt16LE(RECORDS_AT, 0x26);
  const client = area.subarray(0x40);
  client.writeBigUInt64LE(oldest, 0);
  client.writeBigUInt64LE(oldest, 8);
  client.writeUInt16LE(0xffff, 0x10);
  client.writeUInt16LE(0xffff, 0x12);
  client.writeUInt32LE(8, 0x1c);
  client.write('NTFS', 0x20, 'utf16le');
  protect(page, 0x1e);
  return page;
}

/** Up to there everything was on the disk. */
function checkpoint(): Buffer {
  const record = Buffer.alloc(0x30 + 0x68);
  record.writeUInt32LE(2, 0x20);
  return record;
}

function standard(transaction: number, redo: number, bytes: number): Buffer {
  const record = Buffer.alloc(bytes);
  record.writeUInt32LE(1, 0x20);
  record.writeUInt32LE(transaction, 0x24);
  record.writeUInt16LE(redo, 0x30);
  record.writeUInt16LE(1, 0x32); // CompensationlogRecord
  record.writeUInt16LE(0x28, 0x34);
  record.writeUInt16LE(0x28, 0x38);
  return record;
}

function update(
  volume: Buffer,
  mft: number,
  cluster: number,
  transaction: number,
  from: string,
  to: string,
): Buffer {
  const at = volume.indexOf(from, mft, 'latin1') - mft;
  if (at < 0 || from.length !== to.length) throw new Error(`"${from}" cannot become "${to}".`);
  const number = Math.floor(at / MFT_RECORD);
  const room = Math.ceil(to.length / 8) * 8;
  const record = standard(transaction, UPDATE_RESIDENT_VALUE, 0x58 + 2 * room);
  record.writeUInt16LE(UPDATE_RESIDENT_VALUE, 0x32);
  record.writeUInt16LE(to.length, 0x36);
  record.writeUInt16LE(0x28 + room, 0x38);
  record.writeUInt16LE(from.length, 0x3a);
  record.writeUInt16LE(1, 0x3e);
  record.writeUInt16LE((at % MFT_RECORD) - 0x18, 0x40);
  record.writeUInt16LE(0x18, 0x42);
  record.writeUInt16LE(((number * MFT_RECORD) % cluster) / SECTOR, 0x44);
  record.writeUInt16LE(2, 0x46); // acts on the file table
  const vcn = Math.floor((number * MFT_RECORD) / cluster);
  record.writeBigUInt64LE(BigInt(vcn), 0x48);
  record.writeBigUInt64LE(BigInt(mft / cluster + vcn), 0x50);
  record.write(to, 0x58, 'latin1');
  record.write(from, 0x58 + room, 'latin1');
  return record;
}

/** Marks the volume as Windows does where it finds errors, for chkdsk at its next start. */
export function markAsDamaged(volume: Buffer): void {
  const { mft, mirror } = geometry(volume);
  for (const table of [mft, mirror]) {
    const attribute = attributeOf(volume.subarray(table + VOLUME * MFT_RECORD), VOLUME_INFORMATION);
    attribute.writeUInt16LE(1, attribute.readUInt16LE(0x14) + 10);
  }
}

/** Makes the map of clusters say that one is free which a file has (missing), or used which none has (extra). */
export function mistakeCluster(volume: Buffer, how: 'missing' | 'extra'): void {
  const { cluster, mft } = geometry(volume);
  const bitmap = runOf(volume.subarray(mft + BITMAP * MFT_RECORD), cluster);
  const number = how === 'missing' ? mft / cluster : lastFree(volume, bitmap.at, bitmap.size);
  const at = bitmap.at + (number >> 3);
  volume.writeUInt8(volume.readUInt8(at) ^ (1 << (number & 7)), at);
}

function lastFree(volume: Buffer, at: number, size: number): number {
  for (let byte = size - 16; byte > 0; byte--) if (volume.readUInt8(at + byte) === 0) return byte * 8;
  throw new Error('No cluster is free.');
}

function geometry(volume: Buffer): { cluster: number; mft: number; mirror: number } {
  const cluster = volume.readUInt16LE(0x0b) * volume.readUInt8(0x0d);
  const at = (field: number): number => Number(volume.readBigUInt64LE(field)) * cluster;
  return { cluster, mft: at(0x30), mirror: at(0x38) };
}

function attributeOf(record: Buffer, type: number): Buffer {
  let attribute = record.subarray(record.readUInt16LE(0x14));
  while (attribute.readUInt32LE(0) !== type) attribute = attribute.subarray(attribute.readUInt32LE(4));
  return attribute;
}

/** Where a file of one piece is in the volume. */
function runOf(record: Buffer, cluster: number): { at: number; size: number } {
  const attribute = attributeOf(record, DATA);
  const run = attribute.subarray(attribute.readUInt16LE(0x20));
  const lengthBytes = run.readUInt8(0) & 15;
  const clusters = run.readUIntLE(1 + lengthBytes, run.readUInt8(0) >> 4);
  return { at: clusters * cluster, size: Number(attribute.readBigUInt64LE(0x30)) };
}

/** Puts the update sequence into a page: the end of each sector tells whether it was written with the others. */
function protect(page: Buffer, at: number): void {
  page.writeUInt16LE(at, 4);
  page.writeUInt16LE(1 + PAGE / SECTOR, 6);
  page.writeUInt16LE(0x0101, at);
  for (let sector = 1; sector <= PAGE / SECTOR; sector++) {
    const end = sector * SECTOR - 2;
    page.copy(page, at + 2 * sector, end, end + 2);
    page.writeUInt16LE(0x0101, end);
  }
}
