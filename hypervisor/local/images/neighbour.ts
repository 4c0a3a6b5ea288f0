import { type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { entryOf, lastPart, linesOf, readings } from './declared-text';
import { openIfThere, readBytes } from './plain-file';
import { qcow2Backing } from './qcow2-check';
import { type Parent, parentOf } from './vmdk-descriptor';
import { SECTOR, VMDK_MAGIC } from './vmdk-header';

/** What a file beside an image says of itself; what it says of other files is not followed. */
export interface Neighbour {
  name: string;
  /** `whole` builds on nothing; `unclear` says nothing of it. */
  kind: 'whole' | 'delta' | 'unclear';
  /** Of a delta: what it builds on. */
  parent?: Parent;
  /** Files that hold the bytes of it as they are, which a guest can write whatever it likes into. */
  flatFiles: string[];
}

/** The ids and the parent stand at a descriptor's start, before thousands of extents. */
const DESCRIPTOR_BYTES = 64 * 1024;

/**
 * A file that may be an image: VMDKs by their name, and qcow2 images by their header, as libvirt names those of its
 * snapshots after the snapshot (`web.before-update`). Files that only have the bytes of a guest are none.
 */
export async function neighbourOf(directory: string, name: string): Promise<Neighbour | undefined> {
  if (/\.(raw|img|log|json|vmx|vmsd)$/i.test(name)) return undefined;
  const file = await openIfThere(join(directory, name));
  if (!file) return undefined;
  try {
    if (/\.vmdk$/i.test(name)) return await readVmdk(file, name);
    const backing = await qcow2Backing(file);
    if (backing === undefined) return undefined;
    return { name, kind: 'delta', parent: { names: backingNames(backing) }, flatFiles: [] };
  } finally {
    await file.close();
  }
}

async function readVmdk(file: FileHandle, name: string): Promise<Neighbour> {
  const start = await readBytes(file, 0, SECTOR);
  const sparse = start.toString('latin1', 0, 4) === VMDK_MAGIC && start.length === SECTOR;
  const offset = sparse ? Number(start.readBigUInt64LE(28)) * SECTOR : 0;
  if (sparse && (offset === 0 || !Number.isSafeInteger(offset)))
    return { name, kind: 'unclear', flatFiles: [] };
  const bytes = await readBytes(file, offset, DESCRIPTOR_BYTES);
  const end = bytes.indexOf(0);
  const lines = linesOf(end < 0 ? bytes : bytes.subarray(0, end));
  const values = new Map<string, string>();
  for (const line of lines) {
    const entry = entryOf(line);
    if (entry && !values.has(entry.key)) values.set(entry.key, entry.value);
  }
  const parent = parentOf(values);
  return {
    name,
    kind: parent ? 'delta' : values.has('parentcid') ? 'whole' : 'unclear',
    ...(parent ? { parent } : {}),
    flatFiles: sparse
      ? []
      : lines.flatMap(({ bytes: line }) => {
          const written = /^(?:RW|RDONLY)\s+\d+\s+(?:FLAT|VMFS)\s+"(.*)"/.exec(line)?.[1];
          return written === undefined
            ? []
            : readings(Buffer.from(written, 'latin1'), values.get('encoding'));
        }),
  };
}

/** libvirt writes a path, QEMU may write `file:` before it, or options in JSON of which one is the path. */
function backingNames(backing: string): string[] {
  const paths = backing.startsWith('json:')
    ? [...backing.matchAll(/"([^"\\]*)"/g)].map(([, quoted = '']) => quoted)
    : [backing.replace(/^file:/, '')];
  return paths.map(lastPart);
}
