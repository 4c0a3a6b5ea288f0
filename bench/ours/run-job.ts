import { join } from 'node:path';
import { measured } from '../measure';
import { type Run } from '../benchmark';
import { awsEnvironment } from '../workspace';
import { type JobReport, type Jobs } from './main';

/** Runs one of our jobs in a process of its own, and measures it. */
export async function runJob<Name extends keyof Jobs>(
  name: Name,
  input: Jobs[Name]['input'],
  surroundings: { directory: string; env: Record<string, string> },
): Promise<{ run: Run; output: Jobs[Name]['output'] }> {
  const { usage, stdout } = await measured({
    command: process.execPath,
    args: [join(__dirname, 'main.js'), name, JSON.stringify(input)],
    env: { ...awsEnvironment(), ...surroundings.env },
    directory: surroundings.directory,
  });
  const { output, wallSeconds, cpuSeconds } = JSON.parse(
    stdout.trim().split('\n').at(-1) ?? '',
  ) as JobReport<Name>;
  return { run: { ...usage, copy: { wallSeconds, cpuSeconds } }, output };
}
