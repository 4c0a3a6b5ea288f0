// What `npm run cluster` needs beside the sandbox: a Temporal server, built, and PostgreSQL, unpacked and not installed, as the
// package starts a server. `node setup/cluster.mjs` brings both where they are missing.
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { fetchDebs, needed, offered, unpackDeb } from './apt.mjs';
import { ensureGoPrograms } from './go-programs.mjs';
import { SetupError, ifCalled, output } from './process.mjs';

/** Of docker-compose.temporal.yml; where a release of Debian or Ubuntu has another, that one is taken. */
const { postgresql: WANTED } = JSON.parse(readFileSync(resolve('setup/cluster/versions.json'), 'utf8'));

const SERVER = resolve('.lifeboat/tools/temporal');
const POSTGRESQL = resolve('.lifeboat/tools/postgresql');
const STAMP = 'lifeboat-packages.txt';

/** @throws SetupError */
export async function ensureCluster() {
  await ensurePostgresql();
  // The version is the one in go.mod there. Some 4 GB are needed meanwhile.
  await ensureGoPrograms({
    what: 'the Temporal server',
    sources: resolve('setup/cluster'),
    result: SERVER,
    programs: {
      'temporal-server': {
        of: 'go.temporal.io/server/cmd/server',
        takes: 'some ten minutes, the first time',
      },
      'temporal-sql-tool': { of: 'go.temporal.io/server/cmd/tools/sql', takes: 'a minute' },
    },
  });
}

async function ensurePostgresql() {
  const stamp = join(POSTGRESQL, STAMP);
  if (existsSync(stamp) && readFileSync(stamp, 'utf8').startsWith(`${WANTED}\n`)) return;
  mkdirSync(resolve(POSTGRESQL, '..'), { recursive: true });
  const work = mkdtempSync(`${POSTGRESQL}-`);
  try {
    const majors = await majorsOffered();
    const major = majors.includes(WANTED) ? WANTED : majors.at(-1);
    if (major === undefined) throw new SetupError("this host's APT sources have no PostgreSQL.");
    const names = [`postgresql-${major}`, `postgresql-client-${major}`];
    const packages = [...names, ...needed(names, LIBRARIES)];
    const debs = await fetchDebs(`fetching PostgreSQL ${major}`, packages, join(work, 'debs'));
    const tree = join(work, 'tree');
    for (const deb of debs) unpackDeb(deb, tree);
    const home = join(tree, 'usr/lib/postgresql', major);
    // Without these nothing is compiled at run time, and the compiler's libraries (100 MB) are not needed.
    for (const ofCompiler of ['lib/llvmjit.so', 'lib/bitcode'])
      rmSync(join(home, ofCompiler), { recursive: true, force: true });
    for (const needless of ['usr/share/doc', 'usr/share/locale', 'usr/share/man'])
      rmSync(join(tree, needless), { recursive: true, force: true });
    writeFileSync(join(tree, STAMP), `${WANTED}\n${major}\n${packages.join('\n')}\n`);
    // Another user than this one runs it.
    execFileSync('chmod', ['-R', 'a+rX', tree]);
    rmSync(POSTGRESQL, { recursive: true, force: true });
    renameSync(tree, POSTGRESQL);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

/** Shared libraries; the C library is the host's, as its loader is. libelogind0 has files of the same names as libsystemd0. */
const LIBRARIES = /^lib(?!c6$|c-|llvm|z3|elogind|.*perl)/;

/** Major versions that the APT sources have, the oldest first. */
async function majorsOffered() {
  // The package without a number stands for the release's own.
  await offered(['postgresql']);
  const found = output('apt-cache', ['search', '--names-only', '^postgresql-[0-9]+$']) ?? '';
  return [...found.matchAll(/^postgresql-(\d+) /gm)].map(([, major]) => major).sort((a, b) => a - b);
}

await ifCalled(import.meta.url, ensureCluster);
