import { readdir } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { printable } from '../../../plan/printable';
import { type Entry, entryOf, lastPart, linesOf, readings } from './declared-text';
import { DiskImageError } from './image-error';
import { type Neighbour, neighbourOf } from './neighbour';
import { openIfThere, readBytes } from './plain-file';
import { CONSOLIDATE } from './vmdk-kinds';

/**
 * An image that can be read is not always the newest state of its disk: while a snapshot is open, what the guest writes
 * goes into a delta beside it, and the image stays as it was on the day of the snapshot. It says nothing of that itself;
 * the delta does, which names what it builds on, and so do VMware's descriptions of the VM. Whatever speaks for an open
 * snapshot is refused, as a left-over is quickly moved away, and a backup of an old day is noticed when it is needed.
 */

/** VMware's descriptions of a VM have some hundred lines. */
const MAX_DESCRIPTION_BYTES = 2 ** 20;

/** Every new disk of VMware's has this id until it is written to, so that it tells none from another. */
const NEVER_WRITTEN = 0xffff_fffe;

/**
 * Looks once through the image's directory.
 * @param own the files that the image consists of
 * @param contentId the image's CID, where it is a VMDK
 * @throws DiskImageError
 */
export async function refuseOlderState(
  path: string,
  own: readonly string[],
  contentId: number | undefined,
): Promise<void> {
  const directory = dirname(path);
  const name = basename(path);
  const ownNames = new Set(own.map((file) => basename(file)));
  const entries = await readdir(directory, { withFileTypes: true });
  const others = entries.filter((entry) => !ownNames.has(entry.name));
  const names = others.filter((entry) => entry.isFile()).map((entry) => entry.name);
  const neighbours: Neighbour[] = others
    // A link is not followed; its name speaks all the same.
    .filter((entry) => entry.isSymbolicLink())
    .map((entry) => ({ name: entry.name, kind: 'unclear', flatFiles: [] }));
  for (const neighbour of names.sort()) {
    const found = await neighbourOf(directory, neighbour);
    if (found) neighbours.push(found);
  }
  // What another descriptor has for its bytes was written by a guest, and speaks for nobody.
  const bytes = new Set(neighbours.flatMap(({ flatFiles }) => flatFiles));
  const judged = neighbours.filter((neighbour) => !bytes.has(neighbour.name));
  const deltas = judged.flatMap((neighbour) => {
    const why = whyDelta(neighbour, name, contentId, judged);
    return why === undefined ? [] : [{ name: neighbour.name, why }];
  });
  const [first] = deltas;
  if (first) {
    const all = deltas.map((delta) => `"${printable(delta.name)}"`).join(', ');
    throw new DiskImageError(
      path,
      `the VM has an open snapshot, and what was written since is in ${all}, not here ("${printable(first.name)}" ${first.why})`,
      `${CONSOLIDATE}; if ${deltas.length === 1 ? 'that file is' : 'those files are'} only left over, or of another VM, move ${deltas.length === 1 ? 'it' : 'them'} out of ${directory}`,
    );
  }

  for (const description of names.filter((one) => /\.(vmx|vmsd)$/i.test(one))) {
    const described = await readDescription(join(directory, description));
    const why = /\.vmx$/i.test(description) ? usedInstead(described, name) : frozenBy(described, name);
    if (why === undefined) continue;
    throw new DiskImageError(
      path,
      `the VM has an open snapshot: "${printable(description)}" ${why}`,
      `${CONSOLIDATE}; if "${printable(description)}" is out of date, or of another VM, move it out of ${directory}`,
    );
  }
}

/** Why a file beside an image is a delta of it; undefined where it is not. */
function whyDelta(
  { name, parent, kind }: Neighbour,
  image: string,
  contentId: number | undefined,
  all: readonly Neighbour[],
): string | undefined {
  if (parent) {
    if (parent.names.some((hint) => same(hint, image))) return 'builds on it';
    const sameId = parent.cid !== undefined && parent.cid === contentId;
    if (sameId && (contentId !== NEVER_WRITTEN || parent.names.length === 0))
      return `builds on a disk with this one's CID${parent.names[0] === undefined ? '' : `, "${printable(parent.names[0])}", which it is a copy of`}`;
    if ([name, ...parent.names].some((one) => isDeltaName(one, image)))
      return 'builds on a snapshot of it, by its name';
    return undefined;
  }
  if (kind === 'whole' || !isDeltaName(name, image)) return undefined;
  // The bytes of a delta are judged by their descriptor, where that is here.
  const descriptor = name.replace(/-(delta|sesparse)(\.vmdk)$/i, '$2');
  if (descriptor !== name && all.some((other) => same(other.name, descriptor))) return undefined;
  return descriptor === name
    ? 'is called like a delta of it, and cannot be read'
    : 'is called like the bytes of a delta of it, of which the descriptor is missing';
}

/** Whether a file is called as VMware calls the deltas of a disk: `web-000001.vmdk`, of `web.vmdk`. */
function isDeltaName(name: string, image: string): boolean {
  const stem = image.replace(/\.vmdk$/i, '');
  const delta = /^(.+)-\d{6}(?:-(?:delta|sesparse))?\.vmdk$/i.exec(name)?.[1];
  // A whole disk may itself be called so, as it is cloned from one that had a snapshot.
  const root = stem.replace(/-\d{6}$/, '');
  return delta !== undefined && !same(name, image) && same(delta, root);
}

/** By a .vmx: another disk than this one, and one that builds on it, is what the VM runs from. */
function usedInstead(entries: readonly Entry[], image: string): string | undefined {
  const used = filesOf(entries, /^[a-z]+\d+:\d+\.filename$/);
  if (used.some((file) => same(file, image))) return undefined;
  const delta = used.find((file) => isDeltaName(file, image));
  return delta === undefined ? undefined : `names "${printable(delta)}" as the disk in use, and not this one`;
}

/** By a .vmsd: a snapshot that there is holds this file. */
function frozenBy(entries: readonly Entry[], image: string): string | undefined {
  if (entries.some(({ key, value }) => key === 'snapshot.numsnapshots' && value === '0')) return undefined;
  const frozen = filesOf(entries, /^snapshot\d+\.disk\d+\.filename$/).some((file) => same(file, image));
  return frozen ? 'lists a snapshot that holds this file as it was' : undefined;
}

function filesOf(entries: readonly Entry[], key: RegExp): string[] {
  const encoding = entries.find((entry) => entry.key === '.encoding')?.value;
  return entries
    .filter((entry) => key.test(entry.key))
    .flatMap(({ value }) => readings(Buffer.from(value, 'latin1'), encoding))
    .map((file) => lastPart(unescaped(file)));
}

/** VMware writes quotes and the like in these files as a bar and two digits. */
function unescaped(text: string): string {
  return text.replace(/\|([0-9A-F]{2})/gi, (_, code: string) => String.fromCharCode(parseInt(code, 16)));
}

async function readDescription(path: string): Promise<Entry[]> {
  const file = await openIfThere(path);
  if (!file) return [];
  try {
    const text = await readBytes(file, 0, MAX_DESCRIPTION_BYTES);
    return linesOf(text).flatMap((line) => entryOf(line) ?? []);
  } finally {
    await file.close();
  }
}

/** Some of these files come from systems that heed no case. */
function same(a: string, b: string): boolean {
  return a.toLowerCase() === b.toLowerCase();
}
