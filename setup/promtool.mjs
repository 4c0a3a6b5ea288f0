import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { fetchDebs, offered, unpackDeb } from './apt.mjs';
import { SetupError, ifCalled, say } from './process.mjs';

/** Prometheus' own checker, which tests of what is in deploy/prometheus/ ask. Unpacked and not installed: the package starts a server. */
const PACKAGE = 'prometheus';
const RESULT = resolve('.lifeboat/tools/prometheus');

/** Brings it where it is missing. What this host cannot have is not needed: tests that ask for it are skipped, and say so. */
export async function ensurePromtool() {
  if (existsSync(join(RESULT, 'promtool'))) return;
  mkdirSync(RESULT, { recursive: true });
  const work = mkdtempSync(`${RESULT}-`);
  try {
    if ((await offered([PACKAGE])).length === 0) throw new SetupError(`APT has no package ${PACKAGE}.`);
    const [deb] = await fetchDebs('fetching promtool', [PACKAGE], join(work, 'debs'));
    unpackDeb(deb, work);
    if (!existsSync(join(work, 'usr/bin/promtool')))
      throw new SetupError(`the package ${PACKAGE} has no promtool.`);
    renameSync(join(work, 'usr/bin/promtool'), join(RESULT, 'promtool'));
  } catch (error) {
    if (!(error instanceof SetupError)) throw error;
    say(`tests by promtool are skipped: ${error.message}`);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

await ifCalled(import.meta.url, ensurePromtool);
