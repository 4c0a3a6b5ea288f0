import { findCycle, startOrder } from './order';
import { type PlanProblem } from './plan-error';
import { repeated } from './repeated';
import { type PlanFile } from './schema';

/** What of the plan's decisions by people a schema cannot see. */
export function* checkDecisions(plan: PlanFile): Generator<PlanProblem> {
  const tiers = (plan.approval?.beforeTiers ?? []).map((value, index) => ({
    path: ['approval', 'beforeTiers', index],
    value: String(value),
  }));
  yield* repeated(tiers, (tier) => `tier ${tier} is listed twice; take one out`);
  const count = tierCount(plan);
  if (count !== undefined)
    for (const { path, value } of tiers)
      if (Number(value) > count)
        yield {
          path,
          message: `there is no tier ${value}: the start order has ${count}; "lifeboat validate" shows them`,
        };
  if (plan.vms.every(({ optional }) => optional === true))
    yield {
      path: ['vms', 0, 'optional'],
      message: 'every VM is optional, so that nothing would have to come up; leave it out of at least one',
    };
}

/** @returns undefined where the dependencies are wrong, which is told elsewhere */
function tierCount({ vms }: PlanFile): number | undefined {
  const names = new Set(vms.map(({ name }) => name));
  const known =
    names.size === vms.length && vms.every(({ dependsOn }) => dependsOn.every((on) => names.has(on)));
  return known && findCycle(vms) === undefined ? startOrder({ vms }).length : undefined;
}
