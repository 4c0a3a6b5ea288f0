import { nameOf, parentOf, pathParts } from '../files/guest-path';
import { GuestFileError, type GuestFiles } from '../files/port';

/**
 * Looks for a path that Windows would find, whatever the case of its names on the disk: whoever opened the file system ignores it
 * as Windows does, so that no directory has to be listed for it (WinSxS has tens of thousands of entries).
 * @returns the path; undefined where nothing is there
 * @throws GuestFileError where a link (junction) is there or on the way: what it means depends on Windows' drive letters
 */
export async function findPath(files: GuestFiles, path: string): Promise<string | undefined> {
  let at = '';
  for (const part of pathParts(path)) {
    at = `${at}/${part}`;
    const stat = await files.stat(at);
    if (stat === undefined) return undefined;
    if (stat.type === 'symlink') throw new GuestFileError(at, 'is a link (junction), which is not followed');
  }
  return at || '/';
}

/**
 * Whether something is at a path, readable from outside or not: Windows keeps some of its own files compressed in a way of its own
 * (CompactOS), which look like links.
 */
export async function isThere(files: GuestFiles, path: string): Promise<boolean> {
  const parent = await findPath(files, parentOf(path));
  return parent !== undefined && (await files.stat(joined(parent, nameOf(path)))) !== undefined;
}

/** {@link findPath}, and where nothing is there, the path at which it would be made. */
export async function placeOf(files: GuestFiles, path: string): Promise<string> {
  const found = await findPath(files, path);
  if (found !== undefined) return found;
  return joined(await placeOf(files, parentOf(path)), nameOf(path));
}

function joined(directory: string, name: string): string {
  return directory === '/' ? `/${name}` : `${directory}/${name}`;
}
