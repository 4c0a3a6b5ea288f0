import { open as openFile, truncate } from 'node:fs/promises';
import { parentOf } from '../files/guest-path';
import { type GuestFiles } from '../files/port';
import { GuestNotAdaptableError } from '../port';
import { MAX_INITRAMFS_BYTES, withHostFile } from './apply';
import { withGuest, type OpenGuest } from '../files/open-guest';
import { BOOT_DIRECTORY, RUNNER, STATE_DIRECTORY } from './boot-scripts';
import { withOriginalNames } from './fstab';
import { grubCfgForPrimarySite } from './grub';
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
import { RESOLV_CONF } from './network/resolver';
import { isWrittenByTool } from './written-by-tools';

/** What may have become of a configuration file that is to be compared with what we wrote. */
const MAX_TEXT_BYTES = 4 * 1024 * 1024;
/** Files below our directory that are removed; scripts and originals come to a few dozen. */
const MAX_ENTRIES = 5000;
const MAX_DEPTH = 12;
/** Versions of one file that are kept. */
const MAX_KEPT = 100;
const GRUB_CFG = '/boot/grub/grub.cfg';

/** What became of a guest on its way home. */
export interface Undone {
  /** Paths that were changed. */
  changed: string[];
  /** What a person should look at, one sentence each. */
  warnings: string[];
}

/**
 * Undoes what the manifest says. The original of a file comes back unless a person changed the file since; what the guest's own
 * tools wrote over it meanwhile goes. In doubt both are kept, and told. An original is removed only when it is seen, on the
 * disk, that it stands where it was or that it is kept elsewhere.
 */
export async function undoChanges(open: OpenGuest, manifest: Manifest): Promise<Undone> {
  await withGuest(open, (files) =>
    writeManifest(files, { ...manifest, state: manifest.state === 'applying' ? 'applying' : 'reverting' }),
  );
  const warnings: string[] = [];
  const settled = new Set<string>();
  const changed = await withGuest(open, async (files) => {
    const paths: string[] = [];
    const undo = new Undo(files, manifest.state === 'applying', warnings, settled);
    for (const change of manifest.changes.toReversed()) {
      if (await undo.change(change)) paths.push(change.path);
    }
    return paths;
  });
  // Opened anew: only what is read from the disk stands.
  await withGuest(open, async (files) => {
    for (const change of manifest.changes) await saveOriginal(files, change, settled, warnings);
  });
  await withGuest(open, async (files) => {
    for (const path of [ORIGINALS, BOOT_DIRECTORY, RUNNER, MANIFEST]) await removeTree(files, path);
    for (const change of manifest.changes.toReversed()) {
      if (change.kind === 'directory') await removeIfEmpty(files, change.path);
    }
    await removeIfEmpty(files, STATE_DIRECTORY);
  });
  return { changed, warnings };
}

/** Sees that an original stands; where it does not, and nothing decided that it shall not, it is kept. */
async function saveOriginal(
  files: GuestFiles,
  change: RecordedChange,
  settled: ReadonlySet<string>,
  warnings: string[],
): Promise<void> {
  if ((change.kind !== 'replaced' && change.kind !== 'aside') || settled.has(change.path)) return;
  const stands = await currentFile(files, change.path);
  if (stands !== undefined && sha256Hex(stands) === change.original) return;
  if ((await files.stat(ORIGINALS + change.path))?.type !== 'file') {
    warnings.push(
      `The original of ${change.path} of the primary site is gone: somebody removed it from ${ORIGINALS}. Bring it back from a backup.`,
    );
    return;
  }
  const kept = await keep(files, change.path, await files.read(ORIGINALS + change.path, MAX_TEXT_BYTES));
  warnings.push(
    `${change.path} could not be put back as it was at the primary site; its original is ${kept}.`,
  );
}

class Undo {
  constructor(
    private readonly files: GuestFiles,
    /** The guest has not run since: nothing in it is a person's change. */
    private readonly untouched: boolean,
    private readonly warnings: string[],
    /** Paths where it was decided that something else than the original shall stand. */
    private readonly settled: Set<string>,
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
        return this.replaced(change);
      case 'aside':
        return this.aside(change);
      case 'unlinked':
        return this.unlinked(change.path, change.target, change.sha256);
      case 'initramfs':
        return this.initramfs(change);
    }
  }

  private async added(path: string, ours: string): Promise<boolean> {
    const current = await currentFile(this.files, path);
    if (current === undefined) return false;
    // What is below our own directory is ours; elsewhere a person may have found the file useful.
    const edited =
      sha256Hex(current) !== ours && !this.isNobodys(current) && !path.startsWith(`${STATE_DIRECTORY}/`);
    if (edited) await keep(this.files, path, current);
    await this.files.remove(path);
    return true;
  }

  private async link(path: string, target: string): Promise<boolean> {
    if ((await this.files.stat(path))?.type !== 'symlink' || (await this.files.readlink(path)) !== target)
      return false;
    await this.files.remove(path);
    return true;
  }

  private async replaced(change: Extract<RecordedChange, { kind: 'replaced' }>): Promise<boolean> {
    const { path, sha256: ours, original: originalSha256 } = change;
    const original = await this.original(change);
    const current = await currentFile(this.files, path);
    if (current !== undefined && sha256Hex(current) === originalSha256) return false;
    if (original === undefined) {
      // Without the original, what is marked can still be undone; that it could not be compared is told.
      if (current === undefined) return false;
      await this.files.write(path, undoMarks(path, current, undefined));
      return true;
    }
    // A person who removed the file meant it for the recovery site, where it was not the original.
    const isLinkNow = path === RESOLV_CONF && (await this.files.stat(path))?.type === 'symlink';
    if (isLinkNow || current === undefined || sha256Hex(current) === ours || this.untouched)
      return this.restore(path, original);
    const undone = undoMarks(path, current, original.content);
    if (undone.equals(original.content)) return this.restore(path, original);
    if (path === GRUB_CFG || !undone.equals(current)) {
      this.settled.add(path);
      await this.files.write(path, undone);
      return true;
    }
    // Nothing of ours is left in it: it was written anew.
    if (isWrittenByTool(current)) return this.restore(path, original);
    if (path === RESOLV_CONF) {
      const kept = await keep(this.files, path, current);
      this.warnings.push(
        `${path} was written anew at the recovery site; the primary site's is back, the other is ${kept}.`,
      );
      return this.restore(path, original);
    }
    return this.leaveTheirs(path, original.content);
  }

  private async aside(change: Extract<RecordedChange, { kind: 'aside' }>): Promise<boolean> {
    const { path, original: originalSha256 } = change;
    const original = await this.original(change);
    const current = await currentFile(this.files, path);
    if (original === undefined || (current !== undefined && sha256Hex(current) === originalSha256))
      return false;
    if (current !== undefined && !this.isNobodys(current)) return this.leaveTheirs(path, original.content);
    return this.restore(path, original);
  }

  /** A symbolic link comes back whatever lies in its place: a person's file is kept beside it. */
  private async unlinked(path: string, target: string, ours: string | undefined): Promise<boolean> {
    const stat = await this.files.stat(path);
    if (stat?.type === 'symlink') {
      const now = await this.files.readlink(path);
      if (now === target) return false;
      this.warnings.push(
        `${path} leads to ${target} again, as at the primary site; at the recovery site somebody made it lead to ${now}.`,
      );
    } else if (stat?.type === 'file') {
      const current = await this.files.read(path, MAX_TEXT_BYTES);
      if (sha256Hex(current) !== ours && !this.isNobodys(current)) {
        const kept = await keep(this.files, path, current);
        this.warnings.push(
          `${path} leads to ${target} again, as at the primary site; what was written there at the recovery site is ${kept}.`,
        );
      }
    } else if (stat !== undefined) {
      this.warnings.push(
        `${path} led to ${target} at the primary site; it is left as it was made at the recovery site.`,
      );
      return false;
    }
    await this.files.remove(path);
    await this.files.symlink(path, target);
    return true;
  }

  /** A person wrote a new file: theirs stays, and the primary site's lies beside our record. */
  private async leaveTheirs(path: string, original: Buffer): Promise<boolean> {
    const kept = await keep(this.files, path, original);
    this.settled.add(path);
    this.warnings.push(
      `${path} was written anew at the recovery site and is left so; the primary site's is ${kept}.`,
    );
    return true;
  }

  /** Whether a file that is not as we left it is no person's work. */
  private isNobodys(current: Buffer): boolean {
    return this.untouched || isWrittenByTool(current);
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

  private async original({
    path,
    original: sha256,
    immutable = false,
  }: Extract<RecordedChange, { kind: 'replaced' | 'aside' }>): Promise<Original | undefined> {
    const kept = ORIGINALS + path;
    const stat = await this.files.stat(kept);
    if (stat?.type !== 'file') return undefined;
    const content = await this.files.read(kept, MAX_TEXT_BYTES);
    // A kept original that a person changed is no original; nor is one that was cut off while it was written.
    if (sha256Hex(content) !== sha256) return undefined;
    return {
      content,
      mode: stat.mode,
      uid: stat.uid,
      gid: stat.gid,
      modifiedAt: stat.modifiedAt,
      immutable,
    };
  }

  private async restore(path: string, { content, ...attributes }: Original): Promise<true> {
    const isLink = (await this.files.stat(path))?.type === 'symlink';
    // A link to nothing was no file at the primary site; nor was a resolv.conf that leads to what a daemon writes.
    if (isLink && (path === RESOLV_CONF || (await this.files.realpath(path)) === undefined)) {
      const target = await this.files.readlink(path);
      this.warnings.push(
        `${path} is a file again, as at the primary site; at the recovery site it was made a link to ${target}.`,
      );
      await this.files.remove(path);
    }
    await this.files.write(path, content, attributes);
    return true;
  }
}

async function currentFile(files: GuestFiles, path: string): Promise<Buffer | undefined> {
  if ((await files.realpath(path)) === undefined) return undefined;
  return files.read(path, MAX_TEXT_BYTES);
}

/** Puts a version of a file beside our record. @returns where */
async function keep(files: GuestFiles, path: string, content: Buffer): Promise<string> {
  await files.mkdir(parentOf(KEPT + path));
  for (let number = 1; number <= MAX_KEPT; number++) {
    const kept = `${KEPT}${path}${number === 1 ? '' : `.${number}`}`;
    if ((await files.stat(kept)) === undefined) await files.write(kept, content, { mode: 0o600 });
    // An earlier stay may have left one.
    else if (!content.equals(await files.read(kept, MAX_TEXT_BYTES))) continue;
    return kept;
  }
  throw new GuestNotAdaptableError(
    `${KEPT}${path} in the guest has ${MAX_KEPT} versions from earlier stays. Look through them and remove them.`,
  );
}

interface Original {
  content: Buffer;
  mode: number;
  uid: number;
  gid: number;
  modifiedAt: number;
  immutable: boolean;
}

/** Undoes our marked parts of a file that has changed since. */
function undoMarks(path: string, current: Buffer, original: Buffer | undefined): Buffer {
  const text = current.toString('latin1');
  const undone =
    path === GRUB_CFG
      ? grubCfgForPrimarySite(text, original?.toString('latin1') ?? '')
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
