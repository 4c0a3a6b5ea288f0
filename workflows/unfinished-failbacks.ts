import { ApplicationFailure } from '@temporalio/workflow';
import { type PrimaryVm } from '../plan/primary-vm';
import { type RunContext } from '../plan/run';
import { backupProxy } from './run/activities';
import { type BegunRun } from './run/begin';

/** Removes the VMs of failbacks that ended half-way, each by the mark of its run; whatever else has the name stays. */
export async function removeUnfinished(
  run: RunContext,
  unfinished: string[],
  vms: readonly PrimaryVm[],
): Promise<void> {
  for (const runId of unfinished)
    for (const { vm, primaryVm } of vms)
      await backupProxy.removeTemplateVm({
        run: { ...run, runId },
        vm,
        ...(primaryVm === undefined ? {} : { primaryVm }),
        unlessRunning: true,
      });
}

/** Where an undo has died, VMs may serve at home that have what the instances lack, or the other way round. */
export function requireNoUndo({ plan, state }: BegunRun): void {
  if (state?.undoing === undefined) return;
  throw ApplicationFailure.nonRetryable(
    `An undo of the ${state.undoing} of "${plan.name}" has ended half-way. Start it again first: lifeboat undo ${plan.name}`,
    'WrongPhase',
  );
}
