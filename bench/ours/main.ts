import { put, type PutJob } from './put';

/** What our side can be told to do, each in a process of its own. */
export interface Jobs {
  put: { input: PutJob; output: { snapshotId: string } };
}

/** What such a process prints as its last line. */
export interface JobReport<Name extends keyof Jobs> {
  output: Jobs[Name]['output'];
  /** The job alone: without the start of Node and the loading of modules. */
  wallSeconds: number;
  cpuSeconds: number;
}

type Implementations = {
  [Name in keyof Jobs]: (input: Jobs[Name]['input']) => Promise<Jobs[Name]['output']>;
};

const implementations: Implementations = { put };

async function main(): Promise<void> {
  const [name = '', input = ''] = process.argv.slice(2);
  if (!Object.hasOwn(implementations, name)) throw new Error(`there is no job "${name}"`);
  const run = implementations[name as keyof Jobs] as (input: unknown) => Promise<unknown>;
  const began = performance.now();
  const cpu = process.cpuUsage();
  const output = await run(JSON.parse(input));
  const { user, system } = process.cpuUsage(cpu);
  const wallSeconds = (performance.now() - began) / 1000;
  process.stdout.write(`${JSON.stringify({ output, wallSeconds, cpuSeconds: (user + system) / 1e6 })}\n`);
}

main().catch((error: unknown) => {
  console.error(error);
  process.exitCode = 1;
});
