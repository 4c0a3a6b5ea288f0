import { ApplicationFailure } from '@temporalio/workflow';
import { type DrCopy } from '../activities/aws-proxy/account/contract';
import { independently } from '../plan/order';
import { INSTANT_FORM, parseInstant } from '../plan/instant';
import { type ChosenPoint, type PointChoice } from '../plan/lines';
import { type RunContext } from '../plan/run';
import { type DrPlan } from '../plan/schema';
import { copyPoint } from './copy-point';
import { inDependencyOrder } from './run/dependency-order';
import { type FailoverMode } from './run/ids';
import { runVmChild } from './run/vm-child';

/**
 * Which recovery points a request asks for.
 * @returns undefined where it asks for those that the DR copies hold
 * @throws ApplicationFailure BadRequest
 */
export function requireChoice({
  at,
  point,
  mode,
}: PointChoice & { mode: FailoverMode }): PointChoice | undefined {
  if (at === undefined && point === undefined) return undefined;
  const problem = problemOf({ at, point }, mode);
  if (problem !== undefined) throw ApplicationFailure.nonRetryable(problem, 'BadRequest');
  return at === undefined ? { point } : { at };
}

function problemOf({ at, point }: { at?: unknown; point?: unknown }, mode: FailoverMode): string | undefined {
  if (at !== undefined && point !== undefined)
    return 'Say at or point, not both: each names the recovery points.';
  if (mode === 'planned')
    return 'A planned failover takes the last state of the VMs, so that it goes to no other recovery point: leave at and point out, or fail over with the mode "disaster".';
  if (point !== undefined)
    return typeof point === 'string' && point !== ''
      ? undefined
      : 'point must be the id of a backup, as "lifeboat points" lists them.';
  return typeof at === 'string' && parseInstant(at) !== undefined ? undefined : `at must be ${INSTANT_FORM}.`;
}

/** The copies of recovery points that a run has made, so that a step which is done again goes on from them. */
export class PointCopies {
  private readonly made = new Map<string, DrCopy>();
  private tries = 0;

  constructor(
    private readonly run: RunContext,
    private readonly plan: DrPlan,
    private readonly points: readonly ChosenPoint[],
  ) {}

  /** Makes those that are missing, all VMs at once. @returns all */
  async make(): Promise<DrCopy[]> {
    const { run, plan } = this;
    const { kmsKey } = plan.recoverySite;
    const before = this.tries++;
    const missing = this.points.filter(({ vm }) => !this.made.has(vm));
    const points = new Map(missing.map((point) => [point.vm, point]));
    const vms = plan.vms.filter(({ name }) => points.has(name));
    await inDependencyOrder(independently(vms), async ({ name }) => {
      const point = points.get(name) as ChosenPoint;
      const copy = await runVmChild(copyPoint, run, name, 'Copy the recovery point', {
        ...{ run, point, before },
        ...(kmsKey === undefined ? {} : { kmsKey }),
      });
      this.made.set(name, copy);
      return copy;
    });
    return [...this.made.values()];
  }
}
