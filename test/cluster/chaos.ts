import { openE2eSandbox } from '../support/e2e-sandbox';
import { type BatchReport, runBatch } from '../chaos/batch';
import { removeSystemDisks } from '../chaos/guests';
import { type Violation } from '../chaos/invariants';
import { LOCK_DAY } from '../chaos/locks';
import { SeededRandom } from '../chaos/random';

/** What all batches did and found. */
export interface ChaosReport {
  runs: number;
  kills: number;
  /** How often each process was killed. */
  killed: Record<string, number>;
  /** How often the data centre was cut off from AWS and Temporal. */
  cuts: number;
  faults: number;
  lost: number;
  orphans: number;
  corrupt: number;
  unfenced: number;
  /** Of the batches, in their order. */
  seeds: number[];
  failedSeeds: number[];
}

/**
 * The batches of `npm run chaos` on a cluster: the same journeys and the same rules, by the same seeds; what dies besides is the
 * cluster.
 * @param name of the sandbox's directory under `.lifeboat/test`
 */
export async function runChaosOnCluster(
  name: string,
  options: { seed: number; runs: number; plans: number },
  say: (line: string) => void,
): Promise<ChaosReport> {
  const seeds = new SeededRandom(options.seed);
  say(`seed ${options.seed}: bringing a cluster up beside sites in which nothing boots`);
  const sandbox = await openE2eSandbox(name, {
    ...{ runner: 'no-boot', application: 'none', pace: 'quick', cluster: true },
    times: { lockDay: LOCK_DAY },
  });
  const reports: BatchReport[] = [];
  const sum = (what: 'runs' | 'kills' | 'cuts' | 'faults'): number =>
    reports.reduce((total, report) => total + report[what], 0);
  try {
    do {
      const seed = seeds.whole(1, 9_999_999);
      say(`batch of seed ${seed}`);
      const report = await runBatch(sandbox, seed, (line) => say(`  ${line}`), options.plans);
      reports.push(report);
      for (const { kind, what } of report.violations) say(`BROKEN (${kind}), seed ${seed}: ${what}`);
      say(`${sum('runs')} runs; this batch: ${report.runs} runs, ${report.kills} kills, ${report.cuts} cuts`);
      // What is broken would be found by every batch after it.
      if (report.violations.length > 0) break;
    } while (sum('runs') < options.runs);
  } finally {
    removeSystemDisks();
    await sandbox.client.close();
  }
  const count = (kind: Violation['kind']): number =>
    reports.flatMap(({ violations }) => violations).filter((violation) => violation.kind === kind).length;
  const all = reports.flatMap(({ killed }) => killed);
  return {
    ...{ runs: sum('runs'), kills: sum('kills'), cuts: sum('cuts'), faults: sum('faults') },
    killed: Object.fromEntries(
      [...Map.groupBy(all, (who) => who)].map(([who, times]): [string, number] => [who, times.length]).sort(),
    ),
    ...{ lost: count('lost'), orphans: count('orphan') },
    ...{ corrupt: count('corrupt'), unfenced: count('unfenced') },
    seeds: reports.map(({ seed }) => seed),
    failedSeeds: reports.filter(({ violations }) => violations.length > 0).map(({ seed }) => seed),
  };
}
