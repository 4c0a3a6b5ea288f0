import { type Prepared, type Run } from './benchmark';
import { type LeanEndpoint } from './endpoints';
import { type Behaviour } from './endpoint/main';

/** Has a run meet the endpoint as it is told to behave, and counts what it saw of it; then it is as fast as ever again. */
export async function metered(
  endpoint: LeanEndpoint,
  behaviour: Behaviour | undefined,
  work: () => Promise<Run>,
): Promise<Run> {
  if (behaviour === undefined) return work();
  await endpoint.tell({ order: 'behave', ...behaviour });
  try {
    const run = await work();
    const { refused, steadyPerSecond } = await endpoint.tell({ order: 'meter' });
    return {
      ...run,
      counts: { ...run.counts, throttledCalls: refused, steadyPerSecond: steadyPerSecond ?? NaN },
    };
  } finally {
    await endpoint.tell({ order: 'behave' });
  }
}

/**
 * How near our side came to the quota, its copies alone; `steady` is without its first two seconds, as the endpoint saw them.
 * `coresAtQuota` is what its CPU a block would come to at the whole quota, whatever else this machine did meanwhile.
 */
export function behaviourFigures(
  blocks: number,
  behaviour: Behaviour | undefined,
): Pick<Prepared, 'further'> {
  if (behaviour === undefined) return {};
  const { latencyMs = 0, quotaPerSecond } = behaviour;
  return {
    further({ copy, counts }) {
      const { wallSeconds, cpuSeconds } = copy ?? { wallSeconds: NaN, cpuSeconds: NaN };
      const perSecond = blocks / wallSeconds;
      const steady = counts?.steadyPerSecond ?? NaN;
      return {
        latencyMs,
        blocksPerSecond: perSecond,
        steadyBlocksPerSecond: steady,
        coresUsed: cpuSeconds / wallSeconds,
        throttledCalls: counts?.throttledCalls ?? NaN,
        ...(quotaPerSecond === undefined
          ? {}
          : {
              quotaPerSecond,
              shareOfQuota: perSecond / quotaPerSecond,
              steadyShareOfQuota: steady / quotaPerSecond,
              coresAtQuota: (cpuSeconds / blocks) * quotaPerSecond,
            }),
      };
    },
  };
}
