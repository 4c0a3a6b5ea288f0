import { GuestFileError } from './port';

/** Longest path that Linux takes. */
const MAX_PATH_BYTES = 4096;

/**
 * Checks and normalizes an absolute path in a guest. Paths become commands of `debugfs`, which has no way to escape
 * quotes and line ends; nothing that this product touches has such a name.
 * @throws GuestFileError
 */
export function guestPath(path: string): string {
  if (!path.startsWith('/')) throw new GuestFileError(path, 'the path is not absolute');
  if (path.length > MAX_PATH_BYTES) throw new GuestFileError(`${path.slice(0, 60)}…`, 'the path is too long');
  if (!isPlainName(path))
    throw new GuestFileError(JSON.stringify(path), 'the path has characters that are not supported');
  const parts: string[] = [];
  for (const part of path.split('/')) {
    if (part === '..') parts.pop();
    else if (part !== '' && part !== '.') parts.push(part);
  }
  return `/${parts.join('/')}`;
}

/** Whether a name has printable ASCII characters only, and none that `debugfs` reads as its own. */
export function isPlainName(name: string): boolean {
  return /^[\x20-\x7e]+$/.test(name) && !/["\\]/.test(name);
}

/** The parts of a normalized path. */
export function pathParts(path: string): string[] {
  return path.split('/').filter((part) => part !== '');
}

export function parentOf(path: string): string {
  return path.slice(0, path.lastIndexOf('/')) || '/';
}

export function nameOf(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1);
}
