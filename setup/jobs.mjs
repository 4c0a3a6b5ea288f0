import { ensureAptPackages } from './apt.mjs';
import { say, run } from './process.mjs';
import { buildProject, ensureNodeModules } from './project.mjs';
import { ensureDeployTools } from './deploy-tools.mjs';
import { ensurePythonTools } from './python.mjs';

/** Brings everything that is missing for a job, and builds. */
export async function setUp(job) {
  await ensureAptPackages();
  // Side by side: one waits for a registry while another unpacks or compiles.
  await Promise.all([
    ensurePythonTools(),
    ensureNodeModules().then(buildProject),
    ...(job === 'test' ? [ensureTestTools(), ensureDeployTools(), ensureSimulatedVcenter()] : []),
  ]);
}

/** What tests alone need, by APT; one after the other. */
async function ensureTestTools() {
  await (await import('./guest-tools.mjs')).ensureGuestTools();
  await (await import('./boot-tree.mjs')).ensureBootTree();
  await (await import('./appliance.mjs')).ensureAppliance();
  await (await import('./browser.mjs')).ensureBrowser();
  await (await import('./promtool.mjs')).ensurePromtool();
}

/** Compiled by a Go of its own, which needs nothing of the others. */
async function ensureSimulatedVcenter() {
  await (await import('./go.mjs')).ensureVcenter();
}

const wantsVcenter = (args) => /--data-centre[ =]vsphere/.test(args.join(' '));

/** Runs what was asked for, once everything is there. @returns promise of the exit code */
export async function runJob(job, args) {
  switch (job) {
    case 'demo':
      if (wantsVcenter(args)) await ensureSimulatedVcenter();
      return run(process.execPath, ['bin/lifeboat.mjs', 'demo', ...args]);
    case 'bench':
      if (args[0]?.startsWith('vsphere-')) await ensureSimulatedVcenter();
      return (await import('./bench.mjs')).runBenchmark(args);
    case 'chaos':
      if (wantsVcenter(args)) await ensureSimulatedVcenter();
      return run(process.execPath, ['--enable-source-maps', 'dist/test/chaos/main.js', ...args]);
    case 'cluster':
      await (await import('./cluster.mjs')).ensureCluster();
      return run(process.execPath, ['--enable-source-maps', 'dist/test/cluster/main.js', ...args]);
    case 'test':
      return (await import('./test.mjs')).runTests(args);
    default:
      say('done; "npx lifeboat --help" lists what there is, and "npm run demo" shows it');
      return 0;
  }
}
