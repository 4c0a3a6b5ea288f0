import { existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { SetupError, fetching, output, say } from './process.mjs';

/** Prometheus' own checker, which tests of what is in deploy/prometheus/ ask. Unpacked and not installed: the package starts a server. */
const PACKAGE = 'prometheus';
const RESULT = resolve('.lifeboat/tools/prometheus');

/** Brings it where it is missing. What this host cannot have is not needed: tests that ask for it are skipped, and say so. */
export async function ensurePromtool() {
  if (existsSync(join(RESULT, 'promtool'))) return;
  mkdirSync(RESULT, { recursive: true });
  const work = mkdtempSync(`${RESULT}-`);
  try {
    if (!output('apt-cache', ['show', '--no-all-versions', PACKAGE]))
      await fetching('updating package lists', 'apt-get', ['update', '-q']);
    const options = { cwd: work };
    // APT's own user may not write here.
    const asIAm = ['-o', 'APT::Sandbox::User=root'];
    await fetching('fetching promtool', 'apt-get', ['download', '-q', ...asIAm, PACKAGE], options);
    const deb = readdirSync(work).find((name) => name.endsWith('.deb')) ?? '';
    if (output('dpkg-deb', ['-x', join(work, deb), work]) === undefined)
      throw new SetupError(`the package ${PACKAGE} cannot be unpacked.`);
    renameSync(join(work, 'usr/bin/promtool'), join(RESULT, 'promtool'));
  } catch (error) {
    if (!(error instanceof SetupError)) throw error;
    say(`tests by promtool are skipped: ${error.message}`);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await ensurePromtool();
