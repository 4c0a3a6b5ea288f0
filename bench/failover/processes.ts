import { readFile, writeFile } from 'node:fs/promises';
import { type SandboxConfig } from '../../sandbox/config';
import { supervisorReport } from '../../sandbox/supervisor/report';
import { cpuSecondsOf } from '../measure';

/** The sandbox's processes that are the product's, and its server: by the supervisor's names. */
export const MEASURED = ['worker-control', 'worker-aws-proxy', 'temporal'] as const;
export type MeasuredProcess = (typeof MEASURED)[number];

/** What a process took while it was watched. */
export interface ProcessUsage {
  /** Resident at most. */
  peakMiB: number;
  /** Resident at the beginning. */
  beforeMiB: number;
  cpuSeconds: number;
}

/** Begins to watch. @returns what ends it, and tells; throws where a process was started again meanwhile */
export async function watchProcesses(
  config: SandboxConfig,
): Promise<() => Promise<Record<MeasuredProcess, ProcessUsage>>> {
  const pids = await pidsOf(config);
  const before = await Promise.all(
    MEASURED.map(async (name) => {
      // proc(5): 5 makes the kernel count the peak (VmHWM) anew.
      await writeFile(`/proc/${pids[name]}/clear_refs`, '5');
      return { cpuSeconds: await cpuSecondsOf(pids[name]), MiB: await memory(pids[name], 'VmRSS') };
    }),
  );
  return async () => {
    const now = await pidsOf(config);
    const usages = await Promise.all(
      MEASURED.map(async (name, index) => {
        if (now[name] !== pids[name])
          throw new Error(`${name} ended and was started again: its figures mean nothing.`);
        const usage: ProcessUsage = {
          peakMiB: await memory(pids[name], 'VmHWM'),
          beforeMiB: before[index]?.MiB ?? 0,
          cpuSeconds: (await cpuSecondsOf(pids[name])) - (before[index]?.cpuSeconds ?? 0),
        };
        return [name, usage] as const;
      }),
    );
    return Object.fromEntries(usages) as Record<MeasuredProcess, ProcessUsage>;
  };
}

async function pidsOf(config: SandboxConfig): Promise<Record<MeasuredProcess, number>> {
  const reports = await supervisorReport(config);
  const pids = MEASURED.map((name) => {
    const pid = reports.find((report) => report.name === name)?.pid;
    if (pid === undefined) throw new Error(`The sandbox runs no ${name}.`);
    return [name, pid] as const;
  });
  return Object.fromEntries(pids) as Record<MeasuredProcess, number>;
}

/** MiB, of a line of the process's status. */
async function memory(pid: number, line: 'VmHWM' | 'VmRSS'): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  return Number(new RegExp(`^${line}:\\s+(\\d+) kB$`, 'm').exec(status)?.[1] ?? NaN) / 1024;
}
