import { appendFile, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parentOf } from '../../files/guest-path';
import { withGuest, type OpenGuest } from '../../files/open-guest';
import { type GuestFiles } from '../../files/port';
import { GuestNotAdaptableError } from '../../port';
import { STATE_DIRECTORY } from '../stay/boot-scripts';
import { type Change } from './change-plan';
import {
  newManifest,
  ORIGINALS,
  sha256Hex,
  writeManifest,
  type Manifest,
  type RecordedChange,
} from './manifest';

/** An initramfs with every driver of a distribution has about 100 MiB, decompressed contents included. */
export const MAX_INITRAMFS_BYTES = 512 * 1024 * 1024;

/** For directories that grow and for the maps of large files. */
const SPARE_BLOCKS = 64;

/**
 * Writes the changes, after a record of them and the originals are on the disk.
 * @throws GuestNotAdaptableError where a file system is too full, before anything is written
 */
export async function applyChanges(
  open: OpenGuest,
  changes: Change[],
  identity: Pick<Manifest, 'family' | 'runId'>,
): Promise<void> {
  const manifest = newManifest({ version: 1, state: 'applying', ...identity, changes: changes.map(record) });
  await withGuest(open, async (files) => {
    await expectRoom(files, changes);
    for (const change of changes) {
      if ('original' in change) await keepOriginal(files, change.path, change.original);
    }
    await files.mkdir(STATE_DIRECTORY);
  });
  // Only what is on the disk can be undone: one session's writes are there before the next one's begin.
  await writeManifest(open, manifest);
  await withGuest(open, async (files) => {
    for (const change of changes) await apply(files, change);
  });
  await writeManifest(open, { ...manifest, state: 'applied' });
}

/** Puts a segment of ours at the end of an initramfs. */
export async function appendToInitramfs(files: GuestFiles, path: string, segment: Uint8Array): Promise<void> {
  await withHostFile(async (hostPath) => {
    await files.download(path, hostPath, MAX_INITRAMFS_BYTES);
    await appendFile(hostPath, segment);
    const stat = await files.stat((await files.realpath(path)) ?? path);
    await files.upload(hostPath, path, stat && { modifiedAt: stat.modifiedAt });
  });
}

/** A private place on this host for one file. */
export async function withHostFile<T>(work: (hostPath: string) => Promise<T>): Promise<T> {
  const directory = await mkdtemp(join(tmpdir(), 'lifeboat-initramfs-'));
  try {
    return await work(join(directory, 'initramfs'));
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

async function apply(files: GuestFiles, change: Change): Promise<void> {
  switch (change.kind) {
    case 'directory':
      await files.mkdir(change.path);
      return;
    case 'added':
      return files.write(change.path, change.content, { mode: change.mode, uid: 0, gid: 0 });
    case 'link':
      return files.symlink(change.path, change.target);
    case 'replaced':
      return files.write(change.path, change.content);
    case 'aside':
      return files.remove(change.path);
    case 'unlinked':
      await files.remove(change.path);
      if (change.content !== undefined)
        await files.write(change.path, change.content, { mode: 0o644, uid: 0, gid: 0 });
      return;
    case 'initramfs':
      return appendToInitramfs(files, change.path, change.segment);
  }
}

async function keepOriginal(files: GuestFiles, path: string, original: Buffer): Promise<void> {
  const stat = await files.stat((await files.realpath(path)) ?? path);
  if (stat === undefined) throw new Error(`${path} in the guest has gone while it was prepared.`);
  await files.mkdir(parentOf(ORIGINALS + path));
  const { mode, uid, gid, modifiedAt } = stat;
  await files.write(ORIGINALS + path, original, { mode, uid, gid, modifiedAt });
}

function record(change: Change): RecordedChange {
  switch (change.kind) {
    case 'added':
      return { kind: 'added', path: change.path, sha256: sha256Hex(change.content) };
    case 'replaced':
      return {
        kind: 'replaced',
        path: change.path,
        sha256: sha256Hex(change.content),
        original: sha256Hex(change.original),
        ...(change.immutable && { immutable: true }),
      };
    case 'unlinked':
      return {
        kind: 'unlinked',
        path: change.path,
        target: change.target,
        ...(change.content === undefined ? {} : { sha256: sha256Hex(change.content) }),
      };
    case 'aside':
      return {
        kind: 'aside',
        path: change.path,
        original: sha256Hex(change.original),
        ...(change.immutable && { immutable: true }),
      };
    case 'initramfs':
      return {
        kind: 'initramfs',
        path: change.path,
        originalBytes: change.originalBytes,
        segmentBytes: change.segment.length,
        sha256: sha256Hex(change.segment),
      };
    default:
      return change;
  }
}

/** A replaced file's blocks are free before the new one's are taken, so only what grows counts. */
async function expectRoom(files: GuestFiles, changes: Change[]): Promise<void> {
  const needs = new Map<
    string,
    { path: string; bytes: number; inodes: number; free: number; freeInodes: number }
  >();
  const need = async (path: string, bytes: number, inodes: number): Promise<void> => {
    const space = await files.space(path);
    const free = Math.max(0, space.freeBlocks - SPARE_BLOCKS) * space.blockSize;
    const entry = needs.get(space.fileSystem) ?? {
      path,
      bytes: 0,
      inodes: 0,
      free,
      freeInodes: space.freeInodes,
    };
    // Whole blocks, and one for the map of a large file's blocks.
    entry.bytes += bytes > 0 ? (Math.ceil(bytes / space.blockSize) + 1) * space.blockSize : 0;
    entry.inodes += inodes;
    needs.set(space.fileSystem, entry);
  };
  for (const change of changes) {
    if ('original' in change) await need(ORIGINALS, change.original.length, 4);
    if (change.kind === 'initramfs') await need(change.path, change.segment.length, 0);
    else if (change.kind === 'replaced')
      await need(change.path, Math.max(0, change.content.length - change.original.length), 0);
    else if ('content' in change && change.content !== undefined)
      await need(parentOf(change.path), change.content.length, 1);
    else if (change.kind !== 'aside') await need(parentOf(change.path), 1, 1);
  }
  for (const { path, bytes, inodes, free, freeInodes } of needs.values()) {
    if (bytes > free || inodes > freeInodes) {
      throw new GuestNotAdaptableError(
        `The guest's file system with ${path} is too full: the drivers and what comes with them need ` +
          `${Math.ceil(bytes / 1024)} KiB and ${inodes} inodes, and ${Math.floor(free / 1024)} KiB and ${freeInodes} are free. ` +
          'Make room in the guest (old kernels are the usual cause in /boot), back it up and restore again.',
      );
    }
  }
}
