import { type Prepared, type Run, type Side } from '../../bench/benchmark';
import { makeBlock } from '../../bench/disk';
import { report } from '../../bench/report';
import { median, runPairs } from '../../bench/run';
import { BLOCK_SIZE } from '../../blocks/port';

/** A side whose runs take the seconds given, one after another. */
function side(name: string, seconds: number[], order: string[]): Side {
  let next = 0;
  return {
    name,
    run(verify): Promise<Run> {
      order.push(`${name}${verify ? ' verified' : ''}`);
      const wallSeconds = seconds[next++]!;
      const copy = { wallSeconds: wallSeconds / 2, cpuSeconds: wallSeconds / 4 };
      return Promise.resolve({ wallSeconds, cpuSeconds: wallSeconds * 2, maxRssMiB: 100, copy });
    },
  };
}

function prepared(order: string[], withPeer: boolean): Prepared {
  return {
    ours: side('ours', [100, 3, 1, 2], order),
    ...(withPeer ? { peer: side('peer', [100, 4, 6, 5], order) } : {}),
    blocks: 1000,
    notes: { endpoint: 'none' },
    endpointCpuSeconds: () => Promise.resolve(0),
  };
}

const machine = { cpu: 'a', cores: 2, memoryGiB: 4, kernel: '6', node: 'v24', commit: 'abc' };

async function lastLine(withPeer: boolean, order: string[] = []): Promise<Record<string, unknown>> {
  const benchmark = prepared(order, withPeer);
  const sides = await runPairs(benchmark, 3, () => undefined);
  const ceiling = { blocksPerSecond: 9000, endpointCpuMsPerBlock: 0.1 };
  const text = report(
    { name: 'put', sizeMiB: 1, pairs: 3, prepared: benchmark, sides, ceiling, machine },
    true,
  );
  return JSON.parse(text.trimEnd().split('\n').at(-1)!) as Record<string, unknown>;
}

describe('the runner of benchmarks', () => {
  it('runs the sides by turns, checks an untimed pair, and tells medians and ratios', async () => {
    const order: string[] = [];
    const found = await lastLine(true, order);
    expect(order).toEqual([
      ...['ours verified', 'peer verified'],
      ...['peer', 'ours'],
      ...['ours', 'peer'],
      ...['peer', 'ours'],
    ]);
    expect(found).toMatchObject({
      name: 'put',
      ours: { wallSeconds: 2, cpuSeconds: 4, maxRssMiB: 100, cpuMsPerBlock: 4 },
      peer: { wallSeconds: 5, cpuSeconds: 10, maxRssMiB: 100 },
      ratio: { wall: 2 / 5, cpu: 4 / 10 },
      copyRatio: { wall: 1 / 5, cpu: 0.5 / 10 },
      ceiling: { blocksPerSecond: 9000 },
      blocks: 1000,
      machine,
    });
  });

  it('tells of no ratio where there is no peer', async () => {
    const found = await lastLine(false);
    expect(found).toMatchObject({ peer: null, ratio: { wall: null, cpu: null } });
  });

  it('takes the mean of the middle two of an even number', () => {
    expect(median([4, 1, 3, 2])).toBe(2.5);
  });
});

describe('the disks of benchmarks', () => {
  it('hold the same for the same seed, and something else for another', () => {
    for (const kind of ['data', 'incompressible'] as const) {
      const block = makeBlock(kind, 'a');
      expect(block).toHaveLength(BLOCK_SIZE);
      expect(makeBlock(kind, 'a').equals(block)).toBe(true);
      expect(makeBlock(kind, 'b').equals(block)).toBe(false);
    }
  });
});
