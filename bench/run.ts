import { type Prepared, type Run, type Side } from './benchmark';

/** One side's runs, and what they come to. */
export interface SideResult {
  name: string;
  wallSeconds: number;
  cpuSeconds: number;
  maxRssMiB: number;
  cpuMsPerBlock: number;
  /** Median of the copies alone, where the side tells them apart from its start. */
  copy?: { wallSeconds: number; cpuSeconds: number; cpuMsPerBlock: number };
  counts?: Record<string, number>;
  /** Median CPU of the endpoint during this side's runs. */
  endpointCpuMsPerBlock: number;
  runs: Run[];
}

interface TimedRun {
  run: Run;
  endpointCpuSeconds: number;
}

/**
 * Runs both sides in turn, in one pair ours first and in the next the peer. The pair before them is not timed: it warms
 * caches, and has every byte checked.
 */
export async function runPairs(
  prepared: Prepared,
  pairs: number,
  say: (line: string) => void,
): Promise<{ ours: SideResult; peer?: SideResult }> {
  const ours: TimedRun[] = [];
  const peer: TimedRun[] = [];
  for (let pair = 0; pair <= pairs; pair++) {
    const turns: [Side, TimedRun[]][] = [[prepared.ours, ours]];
    if (prepared.peer !== undefined) turns.push([prepared.peer, peer]);
    if (pair % 2 === 1) turns.reverse();
    for (const [side, runs] of turns) {
      const before = await prepared.endpointCpuSeconds();
      const run = await side.run(pair === 0);
      const endpointCpuSeconds = (await prepared.endpointCpuSeconds()) - before;
      say(`${pair === 0 ? 'check' : `pair ${pair}`}  ${side.name.padEnd(28)} ${inWords(run)}`);
      if (pair > 0) runs.push({ run, endpointCpuSeconds });
    }
  }
  return {
    ours: summary(prepared.ours, ours, prepared.blocks),
    ...(prepared.peer === undefined ? {} : { peer: summary(prepared.peer, peer, prepared.blocks) }),
  };
}

function inWords({ wallSeconds, cpuSeconds, maxRssMiB, copy }: Run): string {
  const alone =
    copy === undefined ? '' : `, copy ${copy.wallSeconds.toFixed(2)} s / ${copy.cpuSeconds.toFixed(2)} s`;
  return `${wallSeconds.toFixed(2)} s, CPU ${cpuSeconds.toFixed(2)} s, ${Math.round(maxRssMiB)} MiB${alone}`;
}

function summary(side: Side, timed: TimedRun[], allBlocks: number): SideResult {
  const blocks = side.blocks ?? allBlocks;
  const runs = timed.map(({ run }) => run);
  const of = (value: (run: Run) => number): number => median(runs.map(value));
  const perBlock = (seconds: number): number => (seconds * 1000) / blocks;
  const copies = runs.map(({ copy }) => copy).filter((copy) => copy !== undefined);
  const copyCpu = median(copies.map(({ cpuSeconds }) => cpuSeconds));
  const copy = {
    wallSeconds: median(copies.map(({ wallSeconds }) => wallSeconds)),
    cpuSeconds: copyCpu,
    cpuMsPerBlock: perBlock(copyCpu),
  };
  const counts = Object.keys(runs[0]?.counts ?? {}).map((name) => [
    name,
    of((run) => run.counts?.[name] ?? 0),
  ]);
  const cpuSeconds = of((run) => run.cpuSeconds);
  return {
    name: side.name,
    wallSeconds: of((run) => run.wallSeconds),
    cpuSeconds,
    maxRssMiB: of((run) => run.maxRssMiB),
    cpuMsPerBlock: perBlock(cpuSeconds),
    ...(copies.length === 0 ? {} : { copy }),
    ...(counts.length === 0 ? {} : { counts: Object.fromEntries(counts) as Record<string, number> }),
    endpointCpuMsPerBlock: perBlock(median(timed.map(({ endpointCpuSeconds }) => endpointCpuSeconds))),
    runs,
  };
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length / 2;
  if (sorted.length % 2 === 1) return sorted[Math.floor(middle)] ?? NaN;
  return ((sorted[middle - 1] ?? NaN) + (sorted[middle] ?? NaN)) / 2;
}
