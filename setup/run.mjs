// `npm run demo`, `npm test`, `npm run bench` and `npm run chaos`: sets up what is missing, then runs the job. Plain JavaScript without dependencies,
// since nothing is installed yet when it begins.
import { fileURLToPath } from 'node:url';
import { adoptNode } from './node.mjs';
import { ensureRoot } from './root.mjs';
import { ensureAptPackages } from './apt.mjs';
import { ensurePythonTools } from './python.mjs';
import { ensureGuestTools } from './guest-tools.mjs';
import { buildProject, ensureNodeModules } from './project.mjs';
import { SetupError, run } from './process.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
process.chdir(root);
const JOBS = ['demo', 'test', 'bench', 'chaos', 'only'];
const [job, ...args] = process.argv.slice(2);

try {
  if (job === undefined || !JOBS.includes(job))
    throw new SetupError(`usage: node setup/run.mjs ${JOBS.join('|')}`);
  ensureRoot();
  await adoptNode();
  await ensureAptPackages();
  await ensurePythonTools();
  await ensureNodeModules();
  if (job === 'test') await ensureGuestTools();
  await buildProject();
  if (job === 'demo') process.exitCode = await run(process.execPath, ['bin/lifeboat.mjs', 'demo', ...args]);
  if (job === 'bench') process.exitCode = await (await import('./bench.mjs')).runBenchmark(args);
  if (job === 'chaos')
    process.exitCode = await run(process.execPath, [
      '--enable-source-maps',
      'dist/test/chaos/main.js',
      ...args,
    ]);
  if (job === 'test') process.exitCode = await (await import('./test.mjs')).runTests(args);
} catch (error) {
  if (!(error instanceof SetupError)) throw error;
  console.error(`lifeboat set-up: ${error.message}`);
  process.exitCode = 1;
}
