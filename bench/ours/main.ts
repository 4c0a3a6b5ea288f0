import { type AdaptJob, type Adapted } from './adapt';
import { type BackupJob } from './backup';
import { type FailbackJob } from './failback';
import { type PutJob } from './put';
import { type RestoredDisk, type RestoreJob } from './restore';

/** What our side can be told to do, each in a process of its own. */
export interface Jobs {
  put: { input: PutJob; output: { snapshotId: string } };
  backup: { input: BackupJob; output: { blocks: number; bytes: number } };
  restore: { input: RestoreJob; output: RestoredDisk[] };
  failback: { input: FailbackJob; output: { blocks: number } };
  adapt: { input: AdaptJob; output: Adapted };
}

/** What such a process prints as its last line. */
export interface JobReport<Name extends keyof Jobs> {
  output: Jobs[Name]['output'];
  /** The job alone: without the start of Node and the loading of modules. */
  wallSeconds: number;
  cpuSeconds: number;
}

type Job<Name extends keyof Jobs> = (input: Jobs[Name]['input']) => Promise<Jobs[Name]['output']>;

/** A job loads what it needs and no more. */
const jobs: { [Name in keyof Jobs]: () => Promise<Job<Name>> } = {
  put: async () => (await import('./put.js')).put,
  backup: async () => (await import('./backup.js')).backup,
  restore: async () => (await import('./restore.js')).restore,
  failback: async () => (await import('./failback.js')).failback,
  adapt: async () => (await import('./adapt.js')).adapt,
};

async function main(): Promise<void> {
  const [name = '', input = ''] = process.argv.slice(2);
  if (!Object.hasOwn(jobs, name)) throw new Error(`there is no job "${name}"`);
  const run = (await jobs[name as keyof Jobs]()) as (input: unknown) => Promise<unknown>;
  const began = performance.now();
  const cpu = process.cpuUsage();
  const output = await run(JSON.parse(input));
  const { user, system } = process.cpuUsage(cpu);
  const wallSeconds = (performance.now() - began) / 1000;
  process.stdout.write(`${JSON.stringify({ output, wallSeconds, cpuSeconds: (user + system) / 1e6 })}\n`);
}

main().then(
  // Clients keep connections, which would keep the process for as long.
  () => process.exit(0),
  (error: unknown) => {
    console.error(error);
    process.exit(1);
  },
);
