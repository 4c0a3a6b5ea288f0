import { type ChildProcess, spawn } from 'node:child_process';
import { join } from 'node:path';
import { measured } from '../measure';
import { WORKER_FLAGS } from '../../workers/node-flags';
import { type Run } from '../benchmark';
import { awsEnvironment } from '../workspace';
import { type JobReport, type Jobs } from './main';

/** What a job finds around it. */
export interface Surroundings {
  directory: string;
  env: Record<string, string>;
}

let profiles: string | undefined;

/** Has every later job write a CPU profile into that directory. */
export function profileJobs(directory: string): void {
  profiles = directory;
}

const argumentsOf = <Name extends keyof Jobs>(name: Name, input: Jobs[Name]['input']): string[] => [
  ...(profiles === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${profiles}`]),
  ...WORKER_FLAGS,
  join(__dirname, 'main.js'),
  name,
  JSON.stringify(input),
];

/** Runs one of our jobs in a process of its own, and measures it. */
export async function runJob<Name extends keyof Jobs>(
  name: Name,
  input: Jobs[Name]['input'],
  { directory, env }: Surroundings,
): Promise<{ run: Run; output: Jobs[Name]['output'] }> {
  const { usage, stdout } = await measured({
    command: process.execPath,
    args: argumentsOf(name, input),
    env: { ...awsEnvironment(), ...env },
    directory,
  });
  const line = stdout.trim().split('\n').at(-1) ?? '';
  const { output, wallSeconds, cpuSeconds } = JSON.parse(line) as JobReport<Name>;
  return { run: { ...usage, copy: { wallSeconds, cpuSeconds } }, output };
}

/** Starts one of our jobs, for whoever means to kill it. */
export function startJob<Name extends keyof Jobs>(
  name: Name,
  input: Jobs[Name]['input'],
  { directory, env }: Surroundings,
): ChildProcess {
  return spawn(process.execPath, argumentsOf(name, input), {
    cwd: directory,
    env: { PATH: process.env.PATH, HOME: directory, ...awsEnvironment(), ...env },
    stdio: ['ignore', 'ignore', 'inherit'],
  });
}
