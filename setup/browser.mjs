import { ensureAptPackages } from './apt.mjs';
import { output, say } from './process.mjs';

/** Debian's; Ubuntu has none that is a package of APT's. Some 100 MB to fetch, and 300 on disk. */
const PACKAGE = 'chromium-headless-shell';

/** A browser for the tests that drive Temporal's Web UI, of those that take too long for every day. */
export async function ensureBrowser() {
  if (process.env.LIFEBOAT_LONG_TESTS !== '1') return;
  if ((output('apt-cache', ['show', PACKAGE]) || '') === '') {
    say(`there is no package ${PACKAGE} here; tests with a browser are skipped (CHROMIUM names another one)`);
    return;
  }
  await ensureAptPackages([PACKAGE]);
}
