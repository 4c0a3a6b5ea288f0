import { type GuestFiles } from '../files/port';
import { withGuest, type OpenGuest } from '../files/open-guest';
import { removeTree } from '../files/remove-tree';
import { GuestNotAdaptableError } from '../port';
import { STATE_DIRECTORY } from './boot-scripts';
import { isOnlyOurs } from './hosts';
import { BASE_BLOCK_BYTES, MAX_HIVE_BYTES } from './hive/base-block';
import {
  checkedManifest,
  HOSTS_FILE,
  MANIFEST,
  NEXT_MANIFEST,
  ORIGINAL_HOSTS,
  ORIGINALS,
  sha256Hex,
  type ReplaceableFile,
  type WindowsManifest,
} from './manifest';
import { CUT_OFF_SUFFIX } from './launch-reader';
import { findPath, placeOf } from './paths';

/** Copies of files that are being replaced, until the new ones are on the disk. */
const COPIES = `${STATE_DIRECTORY}/replacing`;
/** Where each file that is replaced lies. */
export const PATHS: Record<ReplaceableFile, string> = {
  SYSTEM: '/Windows/System32/config/SYSTEM',
  hosts: HOSTS_FILE,
};
/** Left over where the power was taken away while the guest wrote its hosts file. */
const HOSTS_CUT_OFF = `${HOSTS_FILE}${CUT_OFF_SUFFIX}`;
const MAX_FILE_BYTES = BASE_BLOCK_BYTES + MAX_HIVE_BYTES;
/** What NTFS takes for directories and records beside the files' content. */
const SPARE_BYTES = 8 * 1024 * 1024;
/** Files below our directory that are removed; scripts and originals come to a few dozen. */
const OURS = { entries: 1000, depth: 4 };

/** A file of the guest's that gets another content; its inode, and so its rights, stay. */
export interface Replacement {
  file: ReplaceableFile;
  before: Buffer;
  after: Buffer;
}

/** A file that was not there. */
export interface Addition {
  path: string;
  content: Buffer;
}

/**
 * Replaces files in sessions of their own, as only what is on the disk can be undone: first the originals and the
 * record, then the files. {@link settle} finishes or takes back what was cut off; the caller ends it with
 * {@link finishApplying} or {@link finishReverting}.
 * @throws GuestNotAdaptableError where the disk is too full, before anything is written
 */
export async function replaceFiles(
  open: OpenGuest,
  manifest: WindowsManifest,
  replacements: Replacement[],
  additions: Addition[],
): Promise<WindowsManifest> {
  const recorded = checkedManifest({
    ...manifest,
    replacing: replacements.map(({ file, before, after }) => ({
      file,
      before: sha256Hex(before),
      after: sha256Hex(after),
    })),
  });
  await withGuest(open, async (files) => {
    await expectRoom(files, replacements, additions);
    for (const { file, before } of replacements) await writeNew(files, `${COPIES}/${file}`, before);
    const hosts = replacements.find(({ file }) => file === 'hosts');
    if (manifest.state === 'applying' && hosts !== undefined)
      await writeNew(files, ORIGINAL_HOSTS, hosts.before);
    await writeManifest(files, recorded);
  });
  await withGuest(open, async (files) => {
    for (const { file, after } of replacements) await files.write(await pathOf(files, file), after);
    for (const { path, content } of additions) await writeNew(files, path, content);
  });
  return recorded;
}

/** All that was to be written is on the disk: the record says so, and the copies can go. */
export async function finishApplying(open: OpenGuest, manifest: WindowsManifest): Promise<void> {
  await withGuest(open, async (files) => {
    await writeManifest(files, { ...manifest, state: 'applied', replacing: [] });
    await removeOurs(files, COPIES);
  });
}

/** All originals stand on the disk: what we put beside them goes, the record first. */
export async function finishReverting(open: OpenGuest, manifest: WindowsManifest): Promise<void> {
  await withGuest(open, async (files) => {
    for (const { path } of manifest.added) {
      // A hosts file that was not there before, and that somebody has used since, is theirs.
      const theirs = isHosts(path) && manifest.state !== 'applying' && !(await isOnlyOursAt(files, path));
      if (!theirs) await removeFound(files, path);
    }
    await removeFound(files, HOSTS_CUT_OFF);
    await removeFound(files, NEXT_MANIFEST);
    await removeFound(files, MANIFEST);
    for (const path of [`${STATE_DIRECTORY}/${manifest.runId}`, ORIGINALS, COPIES])
      await removeOurs(files, path);
    const ours = await findPath(files, STATE_DIRECTORY);
    if (ours !== undefined && (await files.list(ours)).length === 0) await files.remove(ours);
  });
}

/**
 * Brings a guest whose preparation or way home was cut off to one of both sides of it.
 * @returns the manifest as it then is; undefined where the guest is as if never adapted
 * @throws GuestNotAdaptableError where a file is half-written and its copy is not whole
 */
export async function settle(
  open: OpenGuest,
  manifest: WindowsManifest | undefined,
): Promise<WindowsManifest | undefined> {
  if (manifest === undefined || manifest.state === 'applied') return manifest;
  const done = await withGuest(open, async (files) => {
    for (const { file, after } of manifest.replacing) {
      if ((await digest(files, PATHS[file])) !== after) return false;
    }
    if (manifest.state === 'reverting') return true;
    for (const { path, sha256 } of manifest.added) if ((await digest(files, path)) !== sha256) return false;
    return true;
  });
  if (done && manifest.state === 'applying') {
    await finishApplying(open, manifest);
    return { ...manifest, state: 'applied', replacing: [] };
  }
  if (done) {
    await finishReverting(open, manifest);
    return undefined;
  }
  await withGuest(open, (files) => putBack(files, manifest));
  if (manifest.state === 'applying') {
    await finishReverting(open, manifest);
    return undefined;
  }
  const applied: WindowsManifest = { ...manifest, state: 'applied', replacing: [] };
  await withGuest(open, (files) => writeManifest(files, applied));
  return applied;
}

/** The hosts file as it was at the primary site, if what was kept of it is whole. */
export function readOriginalHosts(files: GuestFiles, sha256: string): Promise<Buffer | undefined> {
  return readKept(files, ORIGINAL_HOSTS, sha256);
}

async function readKept(files: GuestFiles, kept: string, sha256: string): Promise<Buffer | undefined> {
  const path = await findPath(files, kept);
  if (path === undefined) return undefined;
  const content = await files.read(path, MAX_FILE_BYTES);
  return sha256Hex(content) === sha256 ? content : undefined;
}

async function putBack(files: GuestFiles, manifest: WindowsManifest): Promise<void> {
  for (const { file, before } of manifest.replacing) {
    if ((await digest(files, PATHS[file])) === before) continue;
    const original = await readKept(files, `${COPIES}/${file}`, before);
    if (original === undefined) {
      throw new GuestNotAdaptableError(
        `${PATHS[file]} in the guest was left half-written by a preparation that was cut off. Make a new volume from the snapshot.`,
      );
    }
    await files.write(await pathOf(files, file), original);
  }
}

/** Whether a path of the record is that of the hosts file. */
export function isHosts(path: string): boolean {
  return path.toLowerCase() === HOSTS_FILE.toLowerCase();
}

async function digest(files: GuestFiles, path: string): Promise<string | undefined> {
  const found = await findPath(files, path);
  return found === undefined ? undefined : sha256Hex(await files.read(found, MAX_FILE_BYTES));
}

async function isOnlyOursAt(files: GuestFiles, path: string): Promise<boolean> {
  const found = await findPath(files, path);
  return found === undefined || isOnlyOurs((await files.read(found, MAX_FILE_BYTES)).toString('latin1'));
}

async function pathOf(files: GuestFiles, file: ReplaceableFile): Promise<string> {
  return placeOf(files, PATHS[file]);
}

async function writeManifest(files: GuestFiles, manifest: WindowsManifest): Promise<void> {
  const content = Buffer.from(`${JSON.stringify(manifest, null, 1)}\n`);
  await writeNew(files, NEXT_MANIFEST, content);
  await writeNew(files, MANIFEST, content);
  await removeFound(files, NEXT_MANIFEST);
}

async function writeNew(files: GuestFiles, path: string, content: Buffer): Promise<void> {
  const place = await placeOf(files, path);
  await files.mkdir(place.slice(0, place.lastIndexOf('/')) || '/');
  await files.write(place, content);
}

async function removeFound(files: GuestFiles, path: string): Promise<void> {
  const found = await findPath(files, path);
  if (found !== undefined) await files.remove(found);
}

/** Removes a directory with all that is in it. */
async function removeOurs(files: GuestFiles, path: string): Promise<void> {
  const found = await findPath(files, path);
  if (found !== undefined) await removeTree(files, found, OURS);
}

async function expectRoom(
  files: GuestFiles,
  replacements: Replacement[],
  additions: Addition[],
): Promise<void> {
  const { freeBlocks, blockSize } = await files.space('/');
  const needed =
    SPARE_BYTES +
    replacements.reduce(
      (sum, { before, after }) => sum + before.length + Math.max(0, after.length - before.length),
      0,
    ) +
    additions.reduce((sum, { content }) => sum + content.length + blockSize, 0);
  const free = freeBlocks * blockSize;
  if (needed > free) {
    throw new GuestNotAdaptableError(
      `The guest's drive C: is too full: what is prepared in it needs ${Math.ceil(needed / 1024)} KiB, and ${Math.floor(free / 1024)} KiB are free. ` +
        'Make room in the guest and back it up again.',
    );
  }
}
