import { rmSync } from 'node:fs';
import { resolve } from 'node:path';
import { ensureGoPrograms } from './go-programs.mjs';
import { SetupError, ifCalled, say } from './process.mjs';

const RESULT = resolve('.lifeboat/tools/vcenter');

/**
 * Builds the simulated vCenter where it is missing or its sources have changed; some 600 MB are needed meanwhile. What this host
 * cannot have is not needed: tests on it are skipped, and say so.
 */
export async function ensureVcenter() {
  try {
    await ensureGoPrograms({
      what: 'the simulated vCenter',
      sources: resolve('sandbox/vcenter'),
      result: RESULT,
      programs: {
        vcenter: { of: '.', takes: 'about a minute' },
        govc: { of: './govc', takes: 'about a minute' },
      },
    });
  } catch (error) {
    if (!(error instanceof SetupError)) throw error;
    rmSync(RESULT, { recursive: true, force: true });
    say(`tests on a simulated vCenter are skipped: ${error.message}`);
  }
}

await ifCalled(import.meta.url, ensureVcenter);
