import { type Collected } from '../repository/upkeep/collection';
import { awsProxy } from './run/activities';
import { begin, requirePhase, type RunRequest } from './run/begin';
import { independently } from '../plan/order';
import { inDependencyOrder } from './run/dependency-order';
import { RunProgress } from './run/run-status';

export interface PruneRequest extends RunRequest {
  /** Whether to look for objects to delete in any case (the default), or once a day. */
  sweep?: 'now' | 'when due';
}

export interface PruneSummary {
  plan: string;
  vms: Collected[];
}

/**
 * Takes the backups that no retention policy keeps out of use, and deletes what nothing needs. It takes nothing of the
 * plan's state, so that it fences no restore off; and it stops when another run takes it.
 */
export async function prune(request: PruneRequest): Promise<PruneSummary> {
  const begun = await begin(request);
  const { plan, run } = begun;
  const progress = new RunProgress(
    plan.name,
    plan.vms.map((vm) => vm.name),
  );
  // While the application is away or on its way, nothing is touched that a way back may need.
  requirePhase(begun, ['none', 'protected'], 'prune the backups of');

  progress.phase('pruning');
  const independent = independently(plan.vms);
  const results = await inDependencyOrder(independent, async ({ name: vm }) => {
    progress.vm(vm, 'pruning');
    const { retention } = plan.repository;
    const collected = await awsProxy.pruneBackups({ run, vm, retention, sweep: request.sweep ?? 'now' });
    progress.vm(vm, 'pruned', `${collected.kept.length} kept, ${collected.retired.length} retired`);
    return collected;
  });
  progress.phase('done');
  return { plan: plan.name, vms: [...results.values()] };
}
