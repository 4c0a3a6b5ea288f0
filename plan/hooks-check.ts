import { type Hook } from './hooks';
import { type PlanProblem } from './plan-error';
import { type PlanFile } from './schema';
import { unknownVm } from './unknown-vm';

/** Places that only some runs pass. */
const ONLY_IN: Partial<Record<Hook['at'], { runs: Hook['on']; why: string }>> = {
  afterDns: { runs: ['failover', 'failback'], why: 'a test moves no DNS records' },
  beforeCleanUp: { runs: ['test'], why: 'only a test cleans up' },
  afterCleanUp: { runs: ['test'], why: 'only a test cleans up' },
};

/** A hook that takes longer is a job of its own, and would hold the run up. */
export const MAX_HOOK_SECONDS = 12 * 3600;

/** What of the plan's hooks a schema cannot see. */
export function* checkHooks(plan: PlanFile): Generator<PlanProblem> {
  const names = plan.vms.map(({ name }) => name);
  for (const [index, { at, vm, on, timeout }] of (plan.hooks ?? []).entries()) {
    if (vm !== undefined && !names.includes(vm))
      yield { path: ['hooks', index, 'vm'], message: unknownVm(vm, names) };
    if (vm !== undefined && at !== 'afterVmReady')
      yield {
        path: ['hooks', index, 'vm'],
        message: `${at} comes once in a run; only afterVmReady is of a VM`,
      };
    for (const [position, run] of (on ?? []).entries()) {
      const only = ONLY_IN[at];
      if (only?.runs?.includes(run) === false)
        yield {
          path: ['hooks', index, 'on', position],
          message: `${at} does not come in a ${run}: ${only.why}`,
        };
    }
    if (timeout !== undefined && (timeout < 1 || timeout > MAX_HOOK_SECONDS))
      yield { path: ['hooks', index, 'timeout'], message: 'must be between 1s and 12h' };
  }
}
