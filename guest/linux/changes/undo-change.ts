import { open as openFile, truncate } from 'node:fs/promises';
import { type GuestFiles } from '../../files/port';
import { GuestNotAdaptableError } from '../../port';
import { MAX_INITRAMFS_BYTES, withHostFile } from './apply';
import { STATE_DIRECTORY } from '../stay/boot-scripts';
import { argumentsForPrimarySite, isCommandLineFile } from '../boot/command-line';
import { withOriginalNames } from '../disks/fstab';
import { currentFile, keep, MAX_TEXT_BYTES } from './kept';
import { ORIGINALS, sha256Hex, type RecordedChange } from './manifest';
import { bringBack, withoutBlock } from './marked-text';
import { RESOLV_CONF } from '../network/resolver';
import { isWrittenByTool } from './written-by-tools';

/** Undoes one recorded change after the other; what a person has to know and what is settled otherwise is in the sets given. */
export class ChangeUndoer {
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
    // Menus are made anew of the kernels that are there now; an old one would name kernels that are gone.
    if (isCommandLineFile(path) || !undone.equals(current)) {
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
