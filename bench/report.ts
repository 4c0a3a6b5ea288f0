import { type Ceiling, type Prepared } from './benchmark';
import { type Machine } from './machine';
import { type SideResult } from './run';

export interface Outcome {
  name: string;
  sizeMiB: number;
  pairs: number;
  prepared: Prepared;
  sides: { ours: SideResult; peer?: SideResult };
  ceiling: Ceiling | null;
  machine: Machine;
}

/** What `--json` prints as its last line. Seconds, MiB; medians of the pairs. */
export interface BenchmarkResult {
  name: string;
  ours: SideResult;
  /** null where nothing comparable exists. */
  peer: SideResult | null;
  /** Ours over the peer's, whole processes: below 1 is faster, or less. */
  ratio: { wall: number | null; cpu: number | null };
  /** The same with our copy alone: a worker starts once, and copies for months. */
  copyRatio: { wall: number | null; cpu: number | null };
  ceiling: Ceiling | null;
  blocks: number;
  sizeMiB: number;
  pairs: number;
  further: Record<string, number>;
  machine: Machine;
  notes: Record<string, string>;
}

export function result({
  name,
  sizeMiB,
  pairs,
  prepared,
  sides,
  ceiling,
  machine,
}: Outcome): BenchmarkResult {
  const { ours, peer } = sides;
  const over = (one: { wallSeconds: number; cpuSeconds: number } | undefined) => ({
    wall: peer === undefined || one === undefined ? null : one.wallSeconds / peer.wallSeconds,
    cpu: peer === undefined || one === undefined ? null : one.cpuSeconds / peer.cpuSeconds,
  });
  return {
    name,
    ours,
    peer: peer ?? null,
    ratio: over(ours),
    copyRatio: over(ours.copy),
    ceiling,
    blocks: prepared.blocks,
    sizeMiB,
    pairs,
    further: prepared.further?.(ours, peer) ?? {},
    machine,
    notes: prepared.notes,
  };
}

/** The result for people, and with `json` the same as one last line. */
export function report(outcome: Outcome, json: boolean): string {
  const found = result(outcome);
  const { machine, ours, peer, ratio, copyRatio, ceiling } = found;
  const lines = [
    '',
    `${found.name}: ${found.sizeMiB} MiB of disk, ${found.blocks} blocks to move, medians of ${found.pairs} pairs`,
    `machine: ${machine.cpu}, ${machine.cores} cores, ${machine.memoryGiB} GiB, Linux ${machine.kernel}`,
    `versions: lifeboat ${machine.commit}, node ${machine.node}`,
    ...Object.entries(found.notes).map(([what, note]) => `${what}: ${note}`),
    '',
    `${''.padEnd(28)}${columns(['wall s', 'CPU s', 'CPU ms/block', 'MiB resident', 'endpoint ms/block'])}`,
    sideLine(ours),
    ...(ours.copy === undefined ? [] : [copyLine(ours.copy)]),
    ...(peer === null ? [] : [sideLine(peer)]),
    ...(ratio.wall === null
      ? []
      : [ratioLine('ratio', ratio), ratioLine('ratio of the copy alone', copyRatio)]),
    ...(ceiling === null
      ? []
      : [
          `the endpoint's ceiling: ${ceiling.blocksPerSecond} blocks/s, ` +
            `${ceiling.endpointCpuMsPerBlock.toFixed(2)} ms of its CPU a block`,
        ]),
    ...counts('lifeboat', ours),
    ...(peer === null ? [] : counts(peer.name, peer)),
    ...Object.entries(found.further).map(([what, value]) => `${what}: ${value}`),
  ];
  return `${lines.join('\n')}\n${json ? `${JSON.stringify(found)}\n` : ''}`;
}

const columns = (cells: string[]): string => cells.map((cell) => cell.padStart(18)).join('');

function sideLine({
  name,
  wallSeconds,
  cpuSeconds,
  cpuMsPerBlock,
  maxRssMiB,
  endpointCpuMsPerBlock,
}: SideResult): string {
  const cells = [wallSeconds, cpuSeconds, cpuMsPerBlock].map((value) => value.toFixed(2));
  return name.padEnd(28) + columns([...cells, maxRssMiB.toFixed(0), endpointCpuMsPerBlock.toFixed(2)]);
}

function copyLine({ wallSeconds, cpuSeconds, cpuMsPerBlock }: NonNullable<SideResult['copy']>): string {
  return (
    '  its copy alone'.padEnd(28) + columns([wallSeconds, cpuSeconds, cpuMsPerBlock].map((v) => v.toFixed(2)))
  );
}

function ratioLine(what: string, { wall, cpu }: { wall: number | null; cpu: number | null }): string {
  return what.padEnd(28) + columns([wall, cpu].map((value) => value?.toFixed(2) ?? ''));
}

function counts(name: string, side: SideResult): string[] {
  return Object.entries(side.counts ?? {}).map(([what, value]) => `${name}, ${what}: ${value}`);
}
