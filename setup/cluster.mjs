// What `npm run cluster` needs beside the sandbox: a Temporal server, built, and PostgreSQL, unpacked and not installed, as the
// package starts a server. `node setup/cluster.mjs` brings both where they are missing.
import { execFileSync } from 'node:child_process';
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
import { ensureGoPrograms } from './go-programs.mjs';
import { SetupError, fetching, output } from './process.mjs';

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
    if (majorsOffered().length === 0) await fetching('updating package lists', 'apt-get', ['update', '-q']);
    const majors = majorsOffered();
    const major = majors.includes(WANTED) ? WANTED : majors.at(-1);
    if (major === undefined) throw new SetupError("this host's APT sources have no PostgreSQL.");
    const names = [`postgresql-${major}`, `postgresql-client-${major}`];
    const packages = [...names, ...libraries(names)];
    const debs = join(work, 'debs');
    mkdirSync(debs);
    await fetching(
      `fetching PostgreSQL ${major}`,
      'apt-get',
      // APT's own user may not write here.
      ['-q', 'download', '-o', 'APT::Sandbox::User=root', ...packages],
      { cwd: debs },
    );
    const tree = join(work, 'tree');
    for (const deb of readdirSync(debs)) execFileSync('dpkg-deb', ['-x', join(debs, deb), tree]);
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

/** Major versions that the APT sources have, the oldest first. */
function majorsOffered() {
  const found = output('apt-cache', ['search', '--names-only', '^postgresql-[0-9]+$']) ?? '';
  return [...found.matchAll(/^postgresql-(\d+) /gm)].map(([, major]) => major).sort((a, b) => a - b);
}

/** Shared libraries of the packages; the C library is the host's, as its loader is. */
function libraries(names) {
  const only = ['suggests', 'recommends', 'conflicts', 'breaks', 'replaces', 'enhances'];
  const args = ['depends', '--recurse', ...only.map((kind) => `--no-${kind}`), ...names];
  const found = (output('apt-cache', args) ?? '').split('\n');
  // libelogind0 has files of the same names as libsystemd0.
  const wanted = found.filter((line) => /^lib(?!c6$|c-|llvm|z3|elogind|.*perl)/.test(line));
  const policy = output('apt-cache', ['policy', ...wanted]) ?? '';
  return [...policy.matchAll(/^(\S+):\n.*\n {2}Candidate: (?!\(none\))/gm)].map(([, name]) => name);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await ensureCluster();
