import { parentOf } from '../../files/guest-path';
import { type GuestFiles } from '../../files/port';
import { GuestNotAdaptableError } from '../../port';
import { KEPT } from './manifest';

/** What may have become of a configuration file that is to be compared with what we wrote. */
export const MAX_TEXT_BYTES = 4 * 1024 * 1024;
/** Versions of one file that are kept. */
const MAX_KEPT = 100;

/** A file as it is now; undefined where there is none. */
export async function currentFile(files: GuestFiles, path: string): Promise<Buffer | undefined> {
  if ((await files.realpath(path)) === undefined) return undefined;
  return files.read(path, MAX_TEXT_BYTES);
}

/** Puts a version of a file beside our record, besides those of earlier stays. @returns where */
export async function keep(files: GuestFiles, path: string, content: Buffer): Promise<string> {
  await files.mkdir(parentOf(KEPT + path));
  for (let number = 1; number <= MAX_KEPT; number++) {
    const kept = `${KEPT}${path}${number === 1 ? '' : `.${number}`}`;
    if ((await files.stat(kept)) === undefined) await files.write(kept, content, { mode: 0o600 });
    else if (!content.equals(await files.read(kept, MAX_TEXT_BYTES))) continue;
    return kept;
  }
  throw new GuestNotAdaptableError(
    `${KEPT}${path} in the guest has ${MAX_KEPT} versions from earlier stays. Look through them and remove them.`,
  );
}
