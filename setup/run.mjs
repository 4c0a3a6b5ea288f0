// `npm run demo` and `npm test`: sets up what is missing, then runs the job. Plain JavaScript without dependencies,
// since nothing is installed yet when it begins.
import { fileURLToPath } from 'node:url';
import { adoptNode } from './node.mjs';
import { ensureRoot } from './root.mjs';
import { ensureAptPackages } from './apt.mjs';
import { ensurePythonTools } from './python.mjs';
import { buildProject, ensureNodeModules } from './project.mjs';
import { SetupError, run } from './process.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
process.chdir(root);
const [job, ...args] = process.argv.slice(2);

try {
  if (job !== 'demo' && job !== 'test' && job !== 'only')
    throw new SetupError('usage: node setup/run.mjs demo|test|only');
  ensureRoot();
  await adoptNode();
  await ensureAptPackages();
  await ensurePythonTools();
  await ensureNodeModules();
  await buildProject();
  if (job === 'demo') process.exitCode = await run(process.execPath, ['bin/lifeboat.mjs', 'demo', ...args]);
  if (job === 'test') process.exitCode = await (await import('./test.mjs')).runTests(args);
} catch (error) {
  if (!(error instanceof SetupError)) throw error;
  console.error(`lifeboat set-up: ${error.message}`);
  process.exitCode = 1;
}
