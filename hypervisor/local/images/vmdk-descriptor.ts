import { printable } from '../../../plan/printable';
import { entryOf, isKnownEncoding, type Line, lastPart, linesOf, readings } from './declared-text';

/**
 * A VMDK's descriptor, read as VMware writes it, in whatever order and with whatever blanks. QEMU has a reader of its
 * own that takes some of it otherwise (docs/local-data-centre.md); it is never given this text, but one made from what
 * was read here (qemu-image.ts).
 */

/** A descriptor that cannot be read: what is wrong with which line, and what to do. */
export class DescriptorError extends Error {
  constructor(
    readonly reason: string,
    readonly advice: string,
  ) {
    super(reason);
    this.name = 'DescriptorError';
  }
}

export interface Extent {
  access: 'RW' | 'RDONLY' | 'NOACCESS';
  sectors: number;
  /** FLAT, VMFS, SPARSE, ZERO and others. */
  type: string;
  /** What the file may be called, the likeliest name first; empty where the line names none. */
  names: string[];
  /** In the file, in sectors. */
  offset: number;
  line: Line;
}

export interface Descriptor {
  /** By key in lower case. */
  values: ReadonlyMap<string, string>;
  extents: Extent[];
  lineOf(key: string): Line | undefined;
}

/** How much of a line a message repeats. */
const SHOWN_CHARACTERS = 100;

/** Ext4, XFS, VMFS and NTFS end here, in bytes or characters. */
const MAX_NAME_BYTES = 255;

const MEND =
  'Correct the line, or copy the descriptor again from where the VM comes from; a copy of it may be edited with any editor';

/** Keys of which two values would be two different disks. */
const ONCE = new Set(['cid', 'parentcid', 'createtype', 'encoding', 'parentfilenamehint']);

/** @throws DescriptorError */
export function readDescriptor(text: Buffer): Descriptor {
  if (text[0] === 0xff && text[1] === 0xfe)
    throw new DescriptorError(
      'its descriptor was saved as UTF-16, as by an editor',
      'Save it as UTF-8 ("Unicode" is UTF-16)',
    );
  const values = new Map<string, string>();
  const lines = new Map<string, Line>();
  const extentLines: Line[] = [];
  let strange: Line | undefined;
  for (const line of linesOf(text)) {
    if (line.bytes === '' || line.bytes.startsWith('#')) continue;
    if (/^(RW|RDONLY|NOACCESS)(\s|$)/.test(line.bytes)) {
      extentLines.push(line);
      continue;
    }
    const entry = entryOf(line);
    if (!entry) {
      strange ??= line;
      continue;
    }
    const before = values.get(entry.key);
    if (before !== undefined && before !== entry.value && ONCE.has(entry.key))
      throw unreadable(line, `contradicts line ${lines.get(entry.key)?.number ?? '?'}`);
    if (before === undefined) {
      values.set(entry.key, entry.value);
      lines.set(entry.key, line);
    }
  }
  if (extentLines.length === 0 && !values.has('createtype'))
    throw new DescriptorError(
      'it is no VMDK: it has no header, and no line of a descriptor that names an extent',
      "Name the disk's descriptor in vm.json, and its true format",
    );
  if (strange) throw unreadable(strange, 'is none of a descriptor');
  const encoding = values.get('encoding');
  return {
    values,
    extents: extentLines.map((line) => readExtent(line, encoding)),
    lineOf: (key) => lines.get(key),
  };
}

/** An error about one line. */
export function unreadable(line: Line, what: string, advice = MEND): DescriptorError {
  return new DescriptorError(`line ${line.number} of its descriptor, ${shown(line)}, ${what}`, advice);
}

/** The parent of a disk that is none by itself, as its descriptor says; undefined where it has none. */
export function parentOf(values: ReadonlyMap<string, string>): Parent | undefined {
  const cid = values.get('parentcid');
  const hint = values.get('parentfilenamehint');
  if (hint === undefined && (cid === undefined || /^f{8}$/i.test(cid))) return undefined;
  const names = hint === undefined ? [] : readings(Buffer.from(hint, 'latin1'), values.get('encoding'));
  return { ...(cid === undefined ? {} : { cid: contentId(cid) }), names: names.map(lastPart) };
}

export interface Parent {
  cid?: number | undefined;
  /** The file's name, without the directories that it was in; read in all ways that it can be. */
  names: string[];
}

/** A CID; undefined where it is no number. */
export function contentId(text: string | undefined): number | undefined {
  return text !== undefined && /^[0-9a-f]{1,8}$/i.test(text) ? parseInt(text, 16) : undefined;
}

function readExtent(line: Line, encoding: string | undefined): Extent {
  const parts = /^(\w+)[ \t]+(\d{1,15})[ \t]+(\w{1,20})(?:[ \t]+"(.*)"(?:[ \t]+(\d{1,15}))?)?$/.exec(
    line.bytes,
  );
  if (!parts) throw unreadable(line, 'is no extent: it should be like RW 20480 FLAT "disk-flat.vmdk" 0');
  const sectors = Number(parts[2]);
  if (sectors === 0) throw unreadable(line, 'is an extent of no sectors');
  const name = parts[4];
  return {
    access: parts[1] as Extent['access'],
    sectors,
    type: (parts[3] as string).toUpperCase(),
    names: name === undefined ? [] : readNames(name, encoding, line),
    offset: Number(parts[5] ?? 0),
    line,
  };
}

function readNames(name: string, encoding: string | undefined, line: Line): string[] {
  const names = readings(Buffer.from(name, 'latin1'), encoding);
  if (names.length > 0) return names;
  throw unreadable(
    line,
    encoding !== undefined && isKnownEncoding(encoding)
      ? `names a file in other letters than encoding="${printable(encoding)}" has`
      : `names a file in the encoding "${printable(encoding ?? '')}", which is not known here`,
    'Save the descriptor as UTF-8, with encoding="UTF-8" in it',
  );
}

/** Whether a file can be called so that lies beside its descriptor. */
export function isFileName(name: string): boolean {
  return (
    !/[/\p{Cc}]/u.test(name) && !['', '.', '..'].includes(name) && Buffer.byteLength(name) <= MAX_NAME_BYTES
  );
}

function shown({ bytes }: Line): string {
  const cut = bytes.length > SHOWN_CHARACTERS ? `${bytes.slice(0, SHOWN_CHARACTERS)}…` : bytes;
  const text = cut.endsWith('…') ? cut : (readings(Buffer.from(bytes, 'latin1'), undefined)[0] ?? cut);
  return `"${printable(text)}"`;
}
