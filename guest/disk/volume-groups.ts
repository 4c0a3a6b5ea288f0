import { open } from 'node:fs/promises';

/** What the metadata of a physical volume says of LVM's volumes. */
export interface VolumeGroup {
  name: string;
  /** Without dashes, as in names of devices. */
  id: string;
  volumes: string[];
  /** Ids of all its physical volumes, with dashes, as LVM writes them. */
  physicalVolumes: string[];
}

export interface PhysicalVolume {
  /** With dashes. */
  id: string;
  /** Undefined where it belongs to none, or says so in a way that is not understood. */
  group: VolumeGroup | undefined;
}

const SECTOR = 512;
/** LVM looks for its label in the first four sectors. */
const LABEL_SECTORS = 4;
/** LVM's metadata area has 1 MiB by default; a text of more is no metadata. */
const MAX_TEXT = 4 * 1024 * 1024;
const MAX_AREAS = 16;
const MDA_MAGIC = ' LVM2 x[5A%r0N*>';

/**
 * Reads the label and the metadata of a physical volume (lib/format_text/layout.h and lib/label of LVM2). It lies on a
 * guest's disk: every number is checked, and what does not fit counts as not there.
 * @returns undefined where there is no label
 */
export async function readPhysicalVolume(
  diskPath: string,
  offset: number,
): Promise<PhysicalVolume | undefined> {
  const file = await open(diskPath, 'r');
  try {
    const read = async (at: number, length: number): Promise<Buffer> => {
      const buffer = Buffer.alloc(length);
      const { bytesRead } = await file.read(buffer, 0, length, offset + at);
      return buffer.subarray(0, bytesRead);
    };
    const start = await read(0, LABEL_SECTORS * SECTOR);
    for (let at = 0; at + SECTOR <= start.length; at += SECTOR) {
      const sector = start.subarray(at, at + SECTOR);
      if (sector.toString('latin1', 0, 8) !== 'LABELONE' || sector.toString('latin1', 24, 32) !== 'LVM2 001')
        continue;
      const header = sector.readUInt32LE(20);
      if (header < 32 || header + 40 > SECTOR) return undefined;
      const id = withDashes(sector.toString('latin1', header, header + 32));
      if (id === undefined) return undefined;
      const area = metadataArea(sector, header + 40);
      return { id, group: area === undefined ? undefined : await readGroup(read, area) };
    }
    return undefined;
  } finally {
    await file.close();
  }
}

interface Area {
  offset: number;
  size: number;
}

/** Two lists follow the header, each ended by zeros: areas for data, and areas for metadata. */
function metadataArea(sector: Buffer, at: number): Area | undefined {
  let list = 0;
  for (let count = 0; count < MAX_AREAS && at + 16 <= SECTOR; count++, at += 16) {
    const offset = Number(sector.readBigUInt64LE(at));
    const size = Number(sector.readBigUInt64LE(at + 8));
    if (offset === 0 && list++ > 0) return undefined;
    if (offset !== 0 && list === 1) return { offset, size };
  }
  return undefined;
}

type Read = (at: number, length: number) => Promise<Buffer>;

async function readGroup(read: Read, area: Area): Promise<VolumeGroup | undefined> {
  if (!Number.isSafeInteger(area.offset + area.size)) return undefined;
  const header = await read(area.offset, SECTOR);
  if (header.length < SECTOR || header.toString('latin1', 4, 20) !== MDA_MAGIC) return undefined;
  const offset = Number(header.readBigUInt64LE(40));
  const size = Number(header.readBigUInt64LE(48));
  if (offset < SECTOR || offset >= area.size || size === 0 || size > MAX_TEXT || size > area.size)
    return undefined;
  // The area is a ring behind its header.
  const first = await read(area.offset + offset, Math.min(size, area.size - offset));
  const rest = first.length < size ? await read(area.offset + SECTOR, size - first.length) : Buffer.alloc(0);
  return parseGroup(Buffer.concat([first, rest]).toString('latin1'));
}

/** Exported for tests. */
export function parseGroup(text: string): VolumeGroup | undefined {
  const group: VolumeGroup = { name: '', id: '', volumes: [], physicalVolumes: [] };
  const sections: string[] = [];
  for (const line of text.split('\n')) {
    const bare = line.replace(/#.*$/, '').trim();
    const opened = /^([A-Za-z0-9_.+-]{1,128}) \{$/.exec(bare)?.[1];
    if (opened !== undefined) {
      sections.push(opened);
      if (sections.length === 1) group.name = opened;
      if (sections.length === 3 && sections[1] === 'logical_volumes') group.volumes.push(opened);
    } else if (bare === '}') {
      if (sections.pop() === undefined) return undefined;
      if (sections.length === 0) break;
    }
    const id = /^id = "([A-Za-z0-9-]{32,40})"$/.exec(bare)?.[1];
    if (id !== undefined && sections.length === 1) group.id = id.replaceAll('-', '');
    if (id !== undefined && sections.length === 3 && sections[1] === 'physical_volumes')
      group.physicalVolumes.push(id);
  }
  return group.name !== '' && group.id !== '' ? group : undefined;
}

/** LVM prints ids in groups of 6, 4, 4, 4, 4, 4 and 6. */
function withDashes(id: string): string | undefined {
  return /^[A-Za-z0-9]{32}$/.test(id)
    ? id.replace(/^(.{6})(.{4})(.{4})(.{4})(.{4})(.{4})(.{6})$/, '$1-$2-$3-$4-$5-$6-$7')
    : undefined;
}
