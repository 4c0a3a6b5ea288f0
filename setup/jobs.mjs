import { ensureAptPackages } from './apt.mjs';
import { say, run } from './process.mjs';
import { buildProject, ensureNodeModules } from './project.mjs';
import { ensurePythonTools } from './python.mjs';

/** Brings everything that is missing, and builds. */
export async function setUp() {
  await ensureAptPackages();
  await ensurePythonTools();
  await ensureNodeModules();
  await buildProject();
}

/** Runs what was asked for, once everything is there. @returns promise of the exit code */
export async function runJob(job, args) {
  switch (job) {
    case 'demo':
      if (args.join(' ').match(/--data-centre[ =]vsphere/)) await (await import('./go.mjs')).ensureVcenter();
      return run(process.execPath, ['bin/lifeboat.mjs', 'demo', ...args]);
    case 'bench':
      return (await import('./bench.mjs')).runBenchmark(args);
    case 'chaos':
      return run(process.execPath, ['--enable-source-maps', 'dist/test/chaos/main.js', ...args]);
    case 'test':
      await (await import('./guest-tools.mjs')).ensureGuestTools();
      await (await import('./boot-tree.mjs')).ensureBootTree();
      await (await import('./appliance.mjs')).ensureAppliance();
      await (await import('./go.mjs')).ensureVcenter();
      return (await import('./test.mjs')).runTests(args);
    default:
      say('done; "npx lifeboat --help" lists what there is, and "npm run demo" shows it');
      return 0;
  }
}
