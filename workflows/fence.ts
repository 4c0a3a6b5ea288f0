import { condition, continueAsNew, isCancellation, sleep, workflowInfo } from '@temporalio/workflow';
import { type FencedVm } from '../plan/fence-order';
import { bothNames } from '../plan/primary-vm';
import { backupProxy } from './run/activities';
import { begin, type BegunRun, type RunRequest } from './run/begin';
import { causeMessage } from './run/failure-message';
import { pace } from './run/pace';
import { RunProgress } from './run/run-status';

export interface FenceSummary {
  plan: string;
  /** VMs whose power was taken. */
  vms: FencedVm[];
}

/** What is looked at more often for a while: a data centre that has just answered starts its VMs one after another. */
const CLOSELY_MS = 15 * 60_000;

/**
 * Carries the order out that a failover in a disaster has left in the plan's state: as soon as a backup proxy answers again, the
 * VMs at home are powered off, and again when something starts them. It pauses while the plan is on its way home, and ends
 * with the order.
 */
export async function fence(request: RunRequest): Promise<FenceSummary> {
  let begun = await begin(request);
  const progress = new RunProgress(begun.plan.name, namesOf(begun));
  let closelyUntil = 0;
  for (;;) {
    const { seen, answered } = await look(begun, progress);
    if (seen?.standing === 'over') {
      progress.phase('done');
      return { plan: begun.plan.name, vms: seen.vms };
    }
    if (seen !== undefined) tell(progress, seen);
    if (answered === 'late' || (seen?.poweredOff.length ?? 0) > 0) closelyUntil = Date.now() + CLOSELY_MS;
    // The state was entered with another version of the plan, which may have other VMs.
    if (seen !== undefined && seen.digest !== begun.run.digest)
      begun = await begin({ plan: begun.plan.name, digest: seen.digest });
    if (workflowInfo().continueAsNewSuggested)
      return continueAsNew<typeof fence>({ plan: begun.plan.name, digest: begun.run.digest });
    await sleep(Date.now() < closelyUntil ? pace.fenceClosely : pace.fenceInterval);
  }
}

type Seen = Awaited<ReturnType<typeof backupProxy.fenceVms>>;

const namesOf = ({ plan }: BegunRun): string[] => plan.vms.map(({ name }) => name);

/**
 * One look at the primary site. The question waits in the backup proxies' queue for as long as none is there, and costs nothing
 * meanwhile.
 * @returns what was seen; undefined where it failed again and again, which is told
 */
async function look(
  { run, plan }: BegunRun,
  progress: RunProgress,
): Promise<{ seen?: Seen; answered: 'at once' | 'late' }> {
  let done = false;
  const asked = backupProxy.fenceVms({ run, vms: plan.vms.map(bothNames) }).finally(() => (done = true));
  // What it fails with is told below.
  asked.catch(() => undefined);
  const atOnce = await condition(() => done, pace.fenceAnswer);
  if (!atOnce) progress.phase('waiting for the data centre');
  const answered = atOnce ? 'at once' : 'late';
  try {
    const seen = await asked;
    progress.problem(undefined);
    return { seen, answered };
  } catch (error) {
    if (isCancellation(error)) throw error;
    progress.problem(causeMessage(error));
    return { answered };
  }
}

function tell(progress: RunProgress, { standing, vms }: Seen): void {
  progress.phase(standing === 'paused' ? 'paused while the plan is brought home' : 'keeping the VMs off');
  for (const { vm, times, lastAt } of vms) {
    const detail = `${times} ${times === 1 ? 'time' : 'times'}, the last at ${lastAt}`;
    progress.vm(vm, 'powered off', detail);
  }
}
