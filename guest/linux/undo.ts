import { open as openFile, truncate } from 'node:fs/promises';
import { parentOf } from '../files/guest-path';
import { type GuestFiles } from '../files/port';
import { GuestNotAdaptableError } from '../port';
import { MAX_INITRAMFS_BYTES, withHostFile } from './apply';
import { withGuest, type OpenGuest } from '../files/open-guest';
import { BOOT_DIRECTORY, RUNNER, STATE_DIRECTORY } from './boot-scripts';
import { argumentsForPrimarySite, isCommandLineFile } from './boot/command-line';
import { withOriginalNames } from './fstab';
import {
  KEPT,
  MANIFEST,
  ORIGINALS,
  sha256Hex,
  writeManifest,
  type Manifest,
  type RecordedChange,
} from './manifest';
import { bringBack, withoutBlock } from './marked-text';

/** What may have become of a configuration file that is to be compared with what we wrote. */
const MAX_TEXT_BYTES = 4 * 1024 * 1024;
/** Files below our directory that are removed; scripts and originals come to a few dozen. */
const MAX_ENTRIES = 5000;
const MAX_DEPTH = 12;

/** Undoes what the manifest says, keeping what a person has changed since. @returns paths that were changed */
export async function undoChanges(open: OpenGuest, manifest: Manifest): Promise<string[]> {
  await withGuest(open, (files) =>
    writeManifest(files, { ...manifest, state: manifest.state === 'applying' ? 'applying' : 'reverting' }),
  );
  return withGuest(open, async (files) => {
    const changed: string[] = [];
    const undo = new Undo(files, manifest.state === 'applying');
    for (const change of manifest.changes.toReversed()) {
      if (await undo.change(change)) changed.push(change.path);
    }
    for (const path of [ORIGINALS, BOOT_DIRECTORY, RUNNER, MANIFEST]) await removeTree(files, path);
    for (const change of manifest.changes.toReversed()) {
      if (change.kind === 'directory') await removeIfEmpty(files, change.path);
    }
    await removeIfEmpty(files, STATE_DIRECTORY);
    return changed;
  });
}

class Undo {
  constructor(
    private readonly files: GuestFiles,
    /** The guest has not run since: nothing in it is a person's change. */
    private readonly untouched: boolean,
  ) {}

  /** @returns whether something was changed */
  async change(change: RecordedChange): Promise<boolean> {
    switch (change.kind) {
      case 'directory':
        return false; // at the end, when it may have become empty
      case 'added':
        return this.added(change.path, change.sha256);
      case 'link':
        return this.link(change.path, change.target);
      case 'replaced':
        return this.replaced(change.path, change.sha256, change.original);
      case 'aside':
        return this.aside(change.path, change.original);
      case 'initramfs':
        return this.initramfs(change);
    }
  }

  private async added(path: string, ours: string): Promise<boolean> {
    const current = await this.current(path);
    if (current === undefined) return false;
    // What is below our own directory is ours; elsewhere a person may have found the file useful.
    const edited = sha256Hex(current) !== ours && !this.untouched && !path.startsWith(`${STATE_DIRECTORY}/`);
    if (edited) await this.keep(path, current);
    await this.files.remove(path);
    return true;
  }

  private async link(path: string, target: string): Promise<boolean> {
    if ((await this.files.stat(path))?.type !== 'symlink' || (await this.files.readlink(path)) !== target)
      return false;
    await this.files.remove(path);
    return true;
  }

  private async replaced(path: string, ours: string, originalSha256: string): Promise<boolean> {
    const original = await this.original(path, originalSha256);
    const current = await this.current(path);
    if (current !== undefined && sha256Hex(current) === originalSha256) return false;
    if (original === undefined) {
      // Without the original, what is marked can still be undone.
      if (current === undefined) return false;
      await this.files.write(path, undoMarks(path, current, undefined));
      return true;
    }
    if (current !== undefined && sha256Hex(current) !== ours && !this.untouched) {
      const undone = undoMarks(path, current, original.content);
      if (!undone.equals(original.content)) {
        await this.files.write(path, undone);
        return true;
      }
    }
    // A person who removed the file meant it for the recovery site, where it was not the original.
    await this.restore(path, original);
    return true;
  }

  private async aside(path: string, originalSha256: string): Promise<boolean> {
    const original = await this.original(path, originalSha256);
    const current = await this.current(path);
    if (original === undefined || (current !== undefined && sha256Hex(current) === originalSha256))
      return false;
    if (current !== undefined && !this.untouched) {
      // A person wrote a new one: theirs stays, and the primary site's lies beside our record.
      await this.keep(path, original.content);
      return true;
    }
    await this.restore(path, original);
    return true;
  }

  private async initramfs(change: Extract<RecordedChange, { kind: 'initramfs' }>): Promise<boolean> {
    const { path, originalBytes, segmentBytes } = change;
    const real = await this.files.realpath(path);
    const stat = real === undefined ? undefined : await this.files.stat(real);
    if (real === undefined || stat?.type !== 'file') {
      if (this.untouched) throw halfChanged(path);
      return false; // the kernel was removed
    }
    if (stat.size !== originalBytes + segmentBytes) {
      if (this.untouched && stat.size !== originalBytes) throw halfChanged(path);
      return false; // made anew in the guest
    }
    return withHostFile(async (hostPath) => {
      await this.files.download(real, hostPath, MAX_INITRAMFS_BYTES);
      const tail = Buffer.alloc(segmentBytes);
      const file = await openFile(hostPath, 'r');
      try {
        await file.read(tail, 0, segmentBytes, originalBytes);
      } finally {
        await file.close();
      }
      if (sha256Hex(tail) !== change.sha256) return false;
      await truncate(hostPath, originalBytes);
      await this.files.upload(hostPath, real, { modifiedAt: stat.modifiedAt });
      return true;
    });
  }

  private async current(path: string): Promise<Buffer | undefined> {
    if ((await this.files.realpath(path)) === undefined) return undefined;
    return this.files.read(path, MAX_TEXT_BYTES);
  }

  private async original(path: string, sha256: string): Promise<Original | undefined> {
    const kept = ORIGINALS + path;
    const stat = await this.files.stat(kept);
    if (stat?.type !== 'file') return undefined;
    const content = await this.files.read(kept, MAX_TEXT_BYTES);
    // A kept original that a person changed is no original; nor is one that was cut off while it was written.
    if (sha256Hex(content) !== sha256) return undefined;
    return { content, mode: stat.mode, uid: stat.uid, gid: stat.gid, modifiedAt: stat.modifiedAt };
  }

  private async restore(path: string, { content, ...attributes }: Original): Promise<void> {
    await this.files.write(path, content, attributes);
  }

  private async keep(path: string, content: Buffer): Promise<void> {
    await this.files.mkdir(parentOf(KEPT + path));
    await this.files.write(KEPT + path, content, { mode: 0o600 });
  }
}

interface Original {
  content: Buffer;
  mode: number;
  uid: number;
  gid: number;
  modifiedAt: number;
}

/** Undoes our marked parts of a file that has changed since. */
function undoMarks(path: string, current: Buffer, original: Buffer | undefined): Buffer {
  const text = current.toString('latin1');
  const undone = isCommandLineFile(path)
    ? argumentsForPrimarySite(path, text, original?.toString('latin1') ?? '')
    : bringBack(withoutBlock(withOriginalNames(text)));
  return Buffer.from(undone, 'latin1');
}

function halfChanged(path: string): GuestNotAdaptableError {
  return new GuestNotAdaptableError(
    `${path} in the guest was left half-written by a preparation that was cut off. Make a new volume from the snapshot.`,
  );
}

/** Removes a directory with all that is in it; symbolic links are removed, not followed. */
async function removeTree(files: GuestFiles, path: string): Promise<void> {
  let entries = 0;
  const remove = async (at: string, depth: number): Promise<void> => {
    if (++entries > MAX_ENTRIES || depth > MAX_DEPTH) {
      throw new GuestNotAdaptableError(
        `${path} in the guest holds far more than Lifeboat put there. Remove it by hand.`,
      );
    }
    if ((await files.stat(at))?.type === 'directory') {
      for (const name of await files.list(at)) await remove(`${at}/${name}`, depth + 1);
    }
    await files.remove(at);
  };
  await remove(path, 0);
}

async function removeIfEmpty(files: GuestFiles, path: string): Promise<void> {
  if ((await files.stat(path))?.type === 'directory' && (await files.list(path)).length === 0)
    await files.remove(path);
}
