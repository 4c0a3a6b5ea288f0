import { readFile, writeFile } from 'node:fs/promises';

/**
 * Boot entries in the memory of UEFI firmware, written into a file of OVMF's variables as the firmware itself would have
 * left it when the distribution was installed. The layouts are those of EDK II: a firmware volume (PI specification,
 * volume 3) holds a store of authenticated variables (MdeModulePkg/Include/Guid/VariableFormat.h); an entry is an
 * EFI_LOAD_OPTION with a device path (UEFI specification, chapters 3.1.3 and 10.3).
 */

/** A file that the firmware starts. */
export interface BootEntry {
  description: string;
  /** The GPT partition that the file is on. */
  partition: { number: number; firstSector: number; sectors: number; guid: string };
  /** Such as `\EFI\debian\shimx64.efi`. */
  path: string;
}

const GLOBAL_VARIABLE = '8be4df61-93ca-11d2-aa0d-00e098032b8c';
const AUTHENTICATED_STORE = 'aaf32c78-947b-439a-a180-2e144ec37792';

/** Kept over a restart, and seen by the firmware and the operating system. */
const VARIABLE_ATTRIBUTES = 0x7;
const VARIABLE_START = 0x55aa;
const VARIABLE_ADDED = 0x3f;
const VARIABLE_HEADER = 60;
const STORE_HEADER = 28;
/** Of the volume's header: where its own length is. */
const VOLUME_HEADER_LENGTH = 48;

/**
 * Writes a copy of `blank`, variables as OVMF is shipped with, that has one boot entry.
 * @throws Error where `blank` is laid out otherwise, or has no room
 */
export async function writeUefiVariables(path: string, blank: string, entry: BootEntry): Promise<void> {
  await writeFile(path, withBootEntry(await readFile(blank), entry));
}

/** The variables with `entry` as the first and only one of the boot order. */
export function withBootEntry(blank: Buffer, entry: BootEntry): Buffer {
  const variables = Buffer.from(blank);
  const store = variables.readUInt16LE(VOLUME_HEADER_LENGTH);
  if (guid(variables, store) !== AUTHENTICATED_STORE)
    throw new Error('The UEFI firmware’s variables have no layout that is known here.');
  const end = store + variables.readUInt32LE(store + 16);
  const order = Buffer.alloc(2); // the number of the entry, 0
  let at = freeSpace(variables, store + STORE_HEADER, end);
  for (const [name, data] of [
    ['Boot0000', loadOption(entry)],
    ['BootOrder', order],
  ] as const) {
    const variable = variableOf(name, data);
    if (at + variable.length > end) throw new Error('The UEFI firmware has no room for a boot entry.');
    variable.copy(variables, at);
    at = aligned(at + variable.length);
  }
  return variables;
}

/** Where the variables that are there end. */
function freeSpace(variables: Buffer, first: number, end: number): number {
  let at = aligned(first);
  while (at + VARIABLE_HEADER <= end && variables.readUInt16LE(at) === VARIABLE_START)
    at = aligned(at + VARIABLE_HEADER + variables.readUInt32LE(at + 36) + variables.readUInt32LE(at + 40));
  return at;
}

function variableOf(name: string, data: Buffer): Buffer {
  const text = utf16(name);
  const header = Buffer.alloc(VARIABLE_HEADER);
  header.writeUInt16LE(VARIABLE_START, 0);
  header.writeUInt8(VARIABLE_ADDED, 2);
  header.writeUInt32LE(VARIABLE_ATTRIBUTES, 4);
  // Counter, time and key between are of signed variables.
  header.writeUInt32LE(text.length, 36);
  header.writeUInt32LE(data.length, 40);
  guidBytes(GLOBAL_VARIABLE).copy(header, 44);
  return Buffer.concat([header, text, data]);
}

const ACTIVE = 1;
const MEDIA = 4;
const HARD_DRIVE = 1;
const FILE_PATH = 4;
const END_OF_PATH = Buffer.from([0x7f, 0xff, 4, 0]);
const GPT = 2;
const GUID_SIGNATURE = 2;

function loadOption({ description, partition, path }: BootEntry): Buffer {
  const drive = Buffer.alloc(38);
  drive.writeUInt32LE(partition.number, 0);
  drive.writeBigUInt64LE(BigInt(partition.firstSector), 4);
  drive.writeBigUInt64LE(BigInt(partition.sectors), 12);
  guidBytes(partition.guid).copy(drive, 20);
  drive.writeUInt8(GPT, 36);
  drive.writeUInt8(GUID_SIGNATURE, 37);
  const devicePath = Buffer.concat([node(HARD_DRIVE, drive), node(FILE_PATH, utf16(path)), END_OF_PATH]);
  const header = Buffer.alloc(6);
  header.writeUInt32LE(ACTIVE, 0);
  header.writeUInt16LE(devicePath.length, 4);
  return Buffer.concat([header, utf16(description), devicePath]);
}

function node(subtype: number, data: Buffer): Buffer {
  const header = Buffer.from([MEDIA, subtype, 0, 0]);
  header.writeUInt16LE(header.length + data.length, 2);
  return Buffer.concat([header, data]);
}

const utf16 = (text: string): Buffer => Buffer.from(`${text}\0`, 'utf16le');

const aligned = (offset: number): number => (offset + 3) & ~3;

/** A GUID as it lies in memory: its first three numbers in the order of the processor. */
function guidBytes(text: string): Buffer {
  const bytes = Buffer.from(text.replaceAll('-', ''), 'hex');
  bytes.subarray(0, 4).reverse();
  bytes.subarray(4, 6).reverse();
  bytes.subarray(6, 8).reverse();
  return bytes;
}

function guid(bytes: Buffer, at: number): string {
  const text = [...guidBytes(bytes.subarray(at, at + 16).toString('hex'))]
    .map((byte) => byte.toString(16).padStart(2, '0'))
    .join('');
  return text.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
}
