import { mkdir, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { bytesText } from '../../cli/numbers';
import { tableText } from '../../cli/table';
import { writeFileAtomically } from '../../host/atomic-file';
import { projectRoot } from '../../host/project-root';

/** One step of the demo, with what it copied; zeros where it copied nothing. */
export interface DemoStep {
  name: string;
  seconds: number;
  blocks: number;
  bytes: number;
}

/** What `.lifeboat/demo/report.json` holds, and `lifeboat demo --json` writes. */
export interface DemoReport {
  /** True only when every step has proved what it had to. */
  ok: boolean;
  steps: DemoStep[];
  /** Seconds of work that the disaster cost, as the failover's run measured; null where none completed. */
  rpoSeconds: number | null;
  /** Seconds from the failover's start until the application served again; null where none completed. */
  rtoSeconds: number | null;
  /** What was ordered, as the application listed it at either site; empty where the demo did not come that far. */
  orders: { afterFailover: string[]; afterFailback: string[] };
  /** What the two sites still hold that they should not; see leftovers.ts. */
  leftovers: string[];
  /** Address of the page of the test failover's evidence, a file; null where there is none. */
  evidence: string | null;
  /** Why the demo is not ok. */
  error?: string;
}

export const emptyReport = (): DemoReport => ({
  ok: false,
  steps: [],
  rpoSeconds: null,
  rtoSeconds: null,
  orders: { afterFailover: [], afterFailback: [] },
  leftovers: [],
  evidence: null,
});

export const reportFile = (): string => join(projectRoot(), '.lifeboat', 'demo', 'report.json');

/** Removes the report of an earlier demo, so that nobody takes it for this one's. */
export const removeReport = (): Promise<void> => rm(reportFile(), { force: true });

export async function writeReport(report: DemoReport): Promise<void> {
  await mkdir(dirname(reportFile()), { recursive: true });
  await writeFileAtomically(reportFile(), `${JSON.stringify(report, null, 2)}\n`);
}

/** The report for people: a row a step, then the two measures of a recovery. */
export function reportTable({ steps, rpoSeconds, rtoSeconds }: DemoReport): string {
  const measures: [string, number | null][] = [
    ['RPO, as measured', rpoSeconds],
    ['RTO, as measured', rtoSeconds],
  ];
  return tableText(
    ['step', 'seconds', 'blocks', 'bytes'],
    [
      ...steps.map(({ name, seconds, blocks, bytes }) => [
        name,
        seconds.toFixed(1),
        blocks === 0 ? '' : String(blocks),
        bytes === 0 ? '' : bytesText(bytes),
      ]),
      ...measures.map(([name, seconds]) => [
        name,
        seconds === null ? 'not measured' : seconds.toFixed(1),
        '',
        '',
      ]),
    ],
  );
}
