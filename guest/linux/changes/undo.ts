import { type GuestFiles } from '../../files/port';
import { removeTree } from '../../files/remove-tree';
import { withGuest, type OpenGuest } from '../../files/open-guest';
import { BOOT_DIRECTORY, RUNNER, STATE_DIRECTORY } from '../stay/boot-scripts';
import { HOSTS_CUT_OFF, LAUNCH_DIRECTORY, LAUNCH_READER } from '../stay/launch';
import { currentFile, keep, MAX_TEXT_BYTES } from './kept';
import {
  MANIFEST,
  NEXT_MANIFEST,
  ORIGINALS,
  sha256Hex,
  writeManifest,
  type Manifest,
  type RecordedChange,
} from './manifest';
import { ChangeUndoer } from './undo-change';

/** Files below our directory that are removed; scripts and originals come to a few dozen. */
const OURS = { entries: 5000, depth: 12 };

/** What is removed whole, whatever became of it. */
const OUR_FILES = [ORIGINALS, BOOT_DIRECTORY, RUNNER, LAUNCH_DIRECTORY, LAUNCH_READER, HOSTS_CUT_OFF];

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
 * @param last what else is done to the guest, while the record still says that it is not done: that is tried again, too
 */
export async function undoChanges(
  open: OpenGuest,
  manifest: Manifest,
  last: (files: GuestFiles, changed: ReadonlySet<string>) => Promise<void> = () => Promise.resolve(),
): Promise<Undone> {
  await writeManifest(open, {
    ...manifest,
    state: manifest.state === 'applying' ? 'applying' : 'reverting',
  });
  const warnings: string[] = [];
  const settled = new Set<string>();
  const changed = await withGuest(open, async (files) => {
    const paths: string[] = [];
    const undo = new ChangeUndoer(files, manifest.state === 'applying', warnings, settled);
    for (const change of manifest.changes.toReversed()) {
      if (await undo.change(change)) paths.push(change.path);
    }
    return paths;
  });
  // Opened anew: only what is read from the disk stands.
  await withGuest(open, async (files) => {
    for (const change of manifest.changes) await saveOriginal(files, change, settled, warnings);
  });
  await withGuest(open, (files) => last(files, new Set(changed)));
  await withGuest(open, async (files) => {
    for (const path of [...OUR_FILES, NEXT_MANIFEST, MANIFEST]) await removeTree(files, path, OURS);
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

async function removeIfEmpty(files: GuestFiles, path: string): Promise<void> {
  if ((await files.stat(path))?.type === 'directory' && (await files.list(path)).length === 0)
    await files.remove(path);
}
