import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, readFile, rename, rm, stat } from 'node:fs/promises';
import { join, relative } from 'node:path';

const buildPrefix = '.building-';

/**
 * A directory of the cache that holds what `build` has made, which is called where it is not there yet.
 * @param key names a state of everything that the result is made of; see {@link stateOf}
 * @param build makes the result as a directory inside `work`, which is removed afterwards, and returns its path
 */
export async function cached(
  cacheDirectory: string,
  key: string,
  build: (work: string) => Promise<string>,
): Promise<string> {
  const finished = join(cacheDirectory, key);
  if (existsSync(finished)) return finished;
  await mkdir(cacheDirectory, { recursive: true });
  await removeAbandonedBuilds(cacheDirectory);
  // The process id in the name tells whose build it is, when it is found abandoned.
  const work = await mkdtemp(join(cacheDirectory, `${buildPrefix}${process.pid}-`));
  try {
    await publish(await build(work), finished);
  } finally {
    await rm(work, { recursive: true, force: true });
  }
  return finished;
}

/** Moves a result to its place; where another process was quicker, its result is as good. */
async function publish(result: string, finished: string): Promise<void> {
  try {
    await rename(result, finished);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code !== 'ENOTEMPTY' && code !== 'EEXIST') throw error;
  }
}

/** Removes what builds left behind that were killed. */
async function removeAbandonedBuilds(cacheDirectory: string): Promise<void> {
  for (const name of await readdir(cacheDirectory)) {
    const pid = new RegExp(`^\\${buildPrefix}(\\d+)-`).exec(name)?.[1];
    if (pid === undefined || existsSync(`/proc/${pid}`)) continue;
    await rm(join(cacheDirectory, name), { recursive: true, force: true });
  }
}

/**
 * Names a state of everything that guests are made of: `facts`, such as the host's release and sources, and the given files
 * and directories with their execute bits, but for their READMEs. Package versions are left out: a guest stays usable when
 * an update appears.
 */
export async function stateOf(facts: unknown, directory: string, names: string[]): Promise<string> {
  const hash = createHash('sha256').update(JSON.stringify(facts));
  const lists = await Promise.all(names.map((name) => filesOf(join(directory, name))));
  for (const path of lists.flat().sort()) {
    const executable = ((await stat(path)).mode & 0o100) !== 0;
    const content = createHash('sha256')
      .update(await readFile(path))
      .digest('hex');
    hash.update(`\n${relative(directory, path)} ${executable} ${content}`);
  }
  return hash.digest('hex').slice(0, 16);
}

async function filesOf(path: string): Promise<string[]> {
  const counts = (name: string): boolean => !name.endsWith('.md');
  if (!(await stat(path)).isDirectory()) return counts(path) ? [path] : [];
  const entries = await readdir(path, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile() && counts(entry.name))
    .map((entry) => join(entry.parentPath, entry.name));
}
