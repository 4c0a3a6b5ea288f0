import { setTimeout as sleep } from 'node:timers/promises';
import { readIfExists } from './if-exists';

/**
 * Processes that outlive their starter are known by a pid file. A pid alone proves nothing, since the kernel hands
 * numbers out again; so a process counts as ours only while its command line names something that no other
 * process's does: a path inside the directory that it works on.
 */

/** How often the end of a process is looked for; short, because tests and people wait for it. */
const POLL_MILLISECONDS = 50;

/** The pid in `pidFile` when that process runs and one of its arguments contains `marker`. */
export async function runningPid(pidFile: string, marker: string): Promise<number | undefined> {
  const text = await readIfExists(pidFile);
  const pid = Number(text?.trim());
  if (text === undefined || !Number.isSafeInteger(pid) || pid < 2) return undefined;
  return (await pidRuns(pid, marker)) ? pid : undefined;
}

/** Whether process `pid` runs (a zombie does not) and one of its arguments contains `marker`. */
export async function pidRuns(pid: number, marker: string): Promise<boolean> {
  const commandLine = await readIfExists(`/proc/${pid}/cmdline`);
  return commandLine !== undefined && commandLine.split('\0').some((argument) => argument.includes(marker));
}

/** Waits until {@link pidRuns} says no; false when it still does after the time. */
export async function waitForEnd(pid: number, marker: string, timeoutMilliseconds: number): Promise<boolean> {
  const deadline = Date.now() + timeoutMilliseconds;
  while (await pidRuns(pid, marker)) {
    if (Date.now() >= deadline) return false;
    await sleep(POLL_MILLISECONDS);
  }
  return true;
}

/** Ends a process: SIGTERM, and SIGKILL where it has not gone within `graceMilliseconds`. Waits for the end. */
export async function endProcess(pid: number, marker: string, graceMilliseconds = 10_000): Promise<void> {
  if (!(await pidRuns(pid, marker))) return;
  sendSignal(pid, 'SIGTERM');
  if (await waitForEnd(pid, marker, graceMilliseconds)) return;
  sendSignal(pid, 'SIGKILL');
  // Only uninterruptible I/O can hold a killed process; ten seconds are more than a page-cache write-back takes.
  if (!(await waitForEnd(pid, marker, 10_000)))
    throw new Error(`Process ${pid} (${marker}) does not end, not even by SIGKILL.`);
}

/** Sends a signal; a process that has gone meanwhile is no error. */
export function sendSignal(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

/** Names a process for good, by its number and when it began: the number alone comes again. Undefined when there is none. */
export async function processName(pid: number): Promise<string | undefined> {
  const startTime = await processStartTime(pid);
  return startTime === undefined ? undefined : `${pid} ${startTime}`;
}

/** Whether the process runs that {@link processName} gave this name. */
export async function processLives(name: string): Promise<boolean> {
  return (await processName(Number(name.split(' ')[0]))) === name;
}

/** In clock ticks since boot (field 22 of /proc/<pid>/stat). */
async function processStartTime(pid: number): Promise<string | undefined> {
  const stat = await readIfExists(`/proc/${pid}/stat`);
  // The second field, the command in parentheses, may hold blanks and parentheses itself.
  const fields = stat?.slice(stat.lastIndexOf(')') + 2).split(' ');
  return fields?.[0] === 'Z' ? undefined : fields?.[19];
}
