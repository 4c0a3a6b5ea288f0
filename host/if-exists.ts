import { access, readdir, readFile } from 'node:fs/promises';

/** Files and directories that may not be there. */

/** A file's text, or undefined where there is no such file. */
export async function readIfExists(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if (isAbsence(error)) return undefined;
    throw error;
  }
}

/** Names in a directory; none where there is no such directory. */
export async function listIfExists(directory: string): Promise<string[]> {
  try {
    return await readdir(directory);
  } catch (error) {
    if (isAbsence(error)) return [];
    throw error;
  }
}

/** Whether there is anything at the path. */
export async function exists(path: string): Promise<boolean> {
  try {
    await access(path);
    return true;
  } catch (error) {
    if (isAbsence(error)) return false;
    throw error;
  }
}

function isAbsence(error: unknown): boolean {
  const { code } = error as NodeJS.ErrnoException;
  // ESRCH: a file in /proc whose process ended between opening and reading.
  return code === 'ENOENT' || code === 'ENOTDIR' || code === 'ESRCH';
}
