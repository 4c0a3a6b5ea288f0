import { spawn } from 'node:child_process';
import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { projectRoot } from '../host/project-root';

/** What a run took. */
export interface Usage {
  wallSeconds: number;
  /** User and system time of all threads, and of the children that the program waited for. */
  cpuSeconds: number;
  maxRssMiB: number;
}

export interface MeasuredCommand {
  command: string;
  args: readonly string[];
  env: Record<string, string>;
  /** Its working directory. */
  directory: string;
}

/** The system's own Python, which the set-up sees to. */
const PYTHON = '/usr/bin/python3';
/** Output that is kept of a program, from its end; in characters. */
const KEPT_OUTPUT = 64 * 1024;

/**
 * Runs a program in a process of its own, from its start to its end.
 * @throws Error with the end of its output where it fails
 */
export async function measured(run: MeasuredCommand): Promise<{ usage: Usage; stdout: string }> {
  const report = join(run.directory, `usage-${process.pid}.json`);
  await rm(report, { force: true });
  const script = join(projectRoot(), 'bench', 'rusage.py');
  const child = spawn(PYTHON, [script, report, run.command, ...run.args], {
    cwd: run.directory,
    // Nothing of this terminal's settings or credentials reaches a side that the other does not get.
    env: { PATH: process.env.PATH, HOME: run.directory, ...run.env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let stdout = '';
  let stderr = '';
  child.stdout.on('data', (data: Buffer) => (stdout = (stdout + data.toString()).slice(-KEPT_OUTPUT)));
  child.stderr.on('data', (data: Buffer) => (stderr = (stderr + data.toString()).slice(-KEPT_OUTPUT)));
  await new Promise<void>((done, failed) => {
    child.once('error', failed);
    child.once('close', () => done());
  });
  const used = await readReport(report, `${stderr}\n${stdout}`);
  await rm(report);
  if (used.exitCode !== 0)
    throw new Error(
      `${run.command} ${run.args.join(' ')} ended with ${used.exitCode}:\n${stderr}\n${stdout}`,
    );
  const { wallSeconds, cpuSeconds, maxRssKiB } = used;
  return { usage: { wallSeconds, cpuSeconds, maxRssMiB: maxRssKiB / 1024 }, stdout };
}

interface Report {
  wallSeconds: number;
  cpuSeconds: number;
  maxRssKiB: number;
  exitCode: number;
}

async function readReport(path: string, output: string): Promise<Report> {
  try {
    return JSON.parse(await readFile(path, 'utf8')) as Report;
  } catch (cause) {
    throw new Error(`The program could not be started or measured: ${output.trim()}`, { cause });
  }
}

/** Kernel ticks a second of the times in /proc; 100 on every Linux that Node runs on (USER_HZ). */
const TICKS_PER_SECOND = 100;

/** Seconds of CPU that a running process has used so far. */
export async function cpuSecondsOf(pid: number): Promise<number> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8');
  // The second field is the program's name in parentheses, which may hold anything; utime and stime are 14 and 15.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
}
