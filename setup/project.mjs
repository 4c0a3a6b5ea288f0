import { createHash } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { SetupError, fetching, run, say } from './process.mjs';

const STAMP = 'node_modules/.lifeboat-lock';

/** Installs the packages of the lock file, unless exactly those are installed. */
export async function ensureNodeModules() {
  const lock = createHash('sha256').update(readFileSync('package-lock.json')).digest('hex');
  if (existsSync(STAMP) && readFileSync(STAMP, 'utf8') === lock) return;
  // No package needs its install script here: native parts come as optional packages. Where packages are installed already,
  // `npm ci` would begin by deleting them all.
  const how = existsSync('node_modules') ? ['install', '--no-save'] : ['ci'];
  const args = [...how, '--ignore-scripts', '--no-audit', '--no-fund'];
  await fetching('installing npm packages', 'npm', args);
  writeFileSync(STAMP, lock);
}

/** Compiles the project and bundles its workflows into dist/. */
export async function buildProject() {
  say('compiling (about a minute)');
  const code = await run('npm', ['run', '--silent', 'build']);
  if (code !== 0) throw new SetupError('the build failed.');
}
