import { condition, continueAsNew, isCancellation, sleep, workflowInfo } from '@temporalio/workflow';
import { type FencedVm, type FenceOrder } from '../plan/fence-order';
import { bothNames } from '../plan/primary-vm';
import { backupProxy, control } from './run/activities';
import { begin, type BegunRun, type RunRequest } from './run/begin';
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
    const { seen, order, late } = await look(begun, progress);
    if (seen?.standing === 'over') {
      progress.phase('done');
      return { plan: begun.plan.name, vms: order?.vms ?? [] };
    }
    if (seen !== undefined) tell(progress, seen, order);
    if (late || (seen?.poweredOff.length ?? 0) > 0) closelyUntil = Date.now() + CLOSELY_MS;
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

interface Look {
  /** Undefined where it failed again and again; the worker has told of that. */
  seen?: Seen;
  /** With what came of it. */
  order?: FenceOrder;
  /** Whether no backup proxy was there at first. */
  late: boolean;
}

/**
 * One look at the primary site. The question waits in the backup proxies' queue for as long as none is there, and costs nothing
 * meanwhile.
 */
async function look(begun: BegunRun, progress: RunProgress): Promise<Look> {
  const { run, plan } = begun;
  let done = false;
  const asked = backupProxy.fenceVms({ run, vms: plan.vms.map(bothNames) }).finally(() => (done = true));
  // What it fails with is met below.
  asked.catch(() => undefined);
  const late = !(await condition(() => done, pace.fenceAnswer));
  if (late) progress.phase('waiting for the data centre');
  try {
    const seen = await asked;
    return { seen, order: await record(begun, seen), late };
  } catch (error) {
    // Whatever stands in the way, the order stands, too.
    if (isCancellation(error)) throw error;
    return { late };
  }
}

/** The order, with what came of it; kept in the plan's state where it is news. */
async function record(
  { run }: BegunRun,
  { standing, fence, poweredOff }: Seen,
): Promise<FenceOrder | undefined> {
  if (standing !== 'open' || (poweredOff.length === 0 && fence?.answeredAt !== undefined)) return fence;
  const at = new Date(Date.now()).toISOString();
  return (await control.recordFence({ run, at, vms: poweredOff })) ?? fence;
}

function tell(progress: RunProgress, { standing, failed }: Seen, order: FenceOrder | undefined): void {
  progress.phase(
    standing === 'paused'
      ? 'paused while the plan is brought home'
      : failed.length > 0
        ? 'not all VMs can be powered off'
        : 'keeping the VMs off',
  );
  for (const { vm, times, lastAt } of order?.vms ?? [])
    progress.vm(vm, 'powered off', `${times} ${times === 1 ? 'time' : 'times'}, the last at ${lastAt}`);
  for (const { vm, why } of failed) progress.vm(vm, 'not powered off', why);
}
