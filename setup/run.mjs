// `npm run demo`, `npm test`, `npm run bench`, `npm run chaos` and `npm run cluster`: sets up what is missing, then runs the job. Plain
// JavaScript without dependencies, since nothing is installed yet when it begins; and what is imported up here, in syntax
// that Node 12 reads, since a newer Node comes first of all.
import { projectFolder } from '../bin/supported-node.mjs';
import { ensureDebian } from './apt.mjs';
import { adoptNode } from './node.mjs';
import { SetupError } from './process.mjs';
import { ensureRoot } from './root.mjs';

const JOBS = ['demo', 'test', 'bench', 'chaos', 'cluster', 'only'];

async function main([job, ...args]) {
  process.chdir(projectFolder);
  if (!JOBS.includes(job)) throw new SetupError(`usage: node setup/run.mjs ${JOBS.join('|')}`);
  ensureDebian();
  if (!((await ensureRoot()) && (await adoptNode()))) return;
  const { setUp, runJob } = await import('./jobs.mjs');
  await setUp(job);
  process.exitCode = await runJob(job, args);
}

main(process.argv.slice(2)).catch((error) => {
  console.error(error instanceof SetupError ? `lifeboat set-up: ${error.message}` : error);
  process.exitCode = 1;
});
