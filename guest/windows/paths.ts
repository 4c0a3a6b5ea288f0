import { nameOf, parentOf, pathParts } from '../files/guest-path';
import { GuestFileError, type GuestFiles } from '../files/port';

/**
 * Finds a path as Windows does, whatever the case of its names: `/Windows/System32` may be `/WINDOWS/system32` on the
 * disk, and the file system's driver may tell them apart.
 * @returns the path as it is on the disk; undefined where nothing is there
 * @throws GuestFileError where a link (junction) is on the way: what it means depends on Windows' drive letters
 */
export async function findPath(files: GuestFiles, path: string): Promise<string | undefined> {
  let at = '';
  for (const part of pathParts(path)) {
    const next = await findIn(files, at || '/', part);
    if (next === undefined) return undefined;
    if ((await files.stat(next))?.type === 'symlink') {
      throw new GuestFileError(next, 'is a link (junction), which is not followed');
    }
    at = next;
  }
  return at || '/';
}

/** {@link findPath}, and where nothing is there, the path at which it would be made. */
export async function placeOf(files: GuestFiles, path: string): Promise<string> {
  const found = await findPath(files, path);
  if (found !== undefined) return found;
  const parent = await placeOf(files, parentOf(path));
  return parent === '/' ? `/${nameOf(path)}` : `${parent}/${nameOf(path)}`;
}

async function findIn(files: GuestFiles, directory: string, name: string): Promise<string | undefined> {
  const join = (one: string) => (directory === '/' ? `/${one}` : `${directory}/${one}`);
  if ((await files.stat(join(name))) !== undefined) return join(name);
  const same = (await files.list(directory)).find((one) => one.toLowerCase() === name.toLowerCase());
  return same === undefined ? undefined : join(same);
}
