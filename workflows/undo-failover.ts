import { ApplicationFailure } from '@temporalio/workflow';
import { amongThemselves, reversed } from '../plan/order';
import { planWithout } from '../plan/without';
import { bothNames } from '../plan/primary-vm';
import { awsProxy, backupProxy, control } from './run/activities';
import { type BegunRun, take } from './run/begin';
import { compensating } from './run/compensation';
import { inDependencyOrder } from './run/dependency-order';
import { type RunProgress } from './run/run-status';
import { seconds } from './run/seconds';
import { requireSaid } from './discarded-writes';
import { proveDns, returnDns } from './dns';
import { serveFromInstances } from './failback';
import { instanceOf } from './homecoming';
import { startAtHome, stopAtHome } from './home-vms';
import { type UndoRequest, type UndoSummary } from './undo-request';

/**
 * Back to the VMs at home as they are; what EC2 wrote is discarded. The instances stop before the first VM starts, so that two
 * never serve; until DNS is home, the run can take itself back, and nothing is removed before that.
 */
export async function undoFailover(
  begun: BegunRun,
  { discardWritesSince }: UndoRequest,
  progress: RunProgress,
): Promise<UndoSummary> {
  const { plan } = begun;
  // Those that the failover left out are at home only.
  const away = planWithout(plan, new Set(begun.without));
  progress.phase('checking');
  const instances = await awsProxy.readInstances({ run: begun.run, plan: away });
  const since = firstOf(instances.map(({ recoveredAt }) => recoveredAt));
  const vms = away.vms.map(({ name }) => name);
  requireSaid({ plan: plan.name, undone: 'failover', since, vms }, discardWritesSince);
  const { power } = await backupProxy.readPower({
    vms: plan.vms.map(bothNames),
    undo: { plan: plan.name, unfinishedFailbacks: begun.state?.unfinishedFailbacks ?? [] },
  });
  // What an undo that has died has started, it had found off, as far as anybody knows.
  const wereOff = plan.vms.filter((_, index) => power[index] === 'off' || begun.phase === 'failing-back');

  const { run, ready, downtimeSeconds, dns } = await compensating(async (compensations) => {
    const run = await take(begun, [begun.phase], 'failing-back', { undoing: 'failover' });
    compensations.add("give the plan's state back", () => control.movePlanState({ run, to: 'failed-over' }));
    let homeStarts = false;
    // One undo, as the instances stay off where a VM at home could not be stopped.
    compensations.add('serve from the instances again', async () => {
      if (homeStarts) await stopAtHome(run, amongThemselves(wereOff), progress);
      await serveFromInstances(run, away, instances);
    });

    progress.phase('stopping the instances');
    const stopping = Date.now();
    await inDependencyOrder(reversed(away.vms), async ({ name: vm }) => {
      const { instanceId } = instanceOf(instances, vm);
      progress.vm(vm, 'stopping', instanceId);
      await awsProxy.stopInstance({ run, vm, instanceId });
      progress.vm(vm, 'stopped', instanceId);
    });

    progress.phase('starting the VMs at the primary site');
    homeStarts = true;
    const ready = await startAtHome(run, plan.vms, progress);

    progress.phase('moving DNS');
    const dns = await returnDns(run, plan);
    const downtimeSeconds = seconds(Date.now() - stopping);
    // From here on it is a failback that waits for its commit, which this run does itself, and anybody can where it dies.
    await control.movePlanState({ run, to: 'failed-back', homeSince: new Date(stopping).toISOString() });
    return { run, ready, downtimeSeconds, dns };
  });

  progress.phase('asking the name servers');
  const notes = await proveDns(plan, dns, 'primary site');
  progress.phase('removing the recovery site');
  const { removed } = await awsProxy.removeRecoverySite({ run });
  await control.movePlanState({ run, to: 'protected' });
  progress.phase('done');
  return {
    ...{ plan: plan.name, undone: 'failover', discardedSince: since, vms: ready },
    ...{ downtimeSeconds, removed, warnings: notes },
  };
}

function firstOf(times: (string | undefined)[]): string {
  const [first] = times.filter((time) => time !== undefined).sort();
  if (first !== undefined) return first;
  throw ApplicationFailure.nonRetryable(
    'The AWS proxy does not say when the instances were made: it is of an earlier release. Upgrade it, and start the undo again.',
    'WorkerTooOld',
  );
}
