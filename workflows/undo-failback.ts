import { reversed } from '../plan/order';
import { planWithout } from '../plan/without';
import { wantsFence } from '../plan/fence';
import { type InstanceAddresses } from '../activities/aws-proxy/launch/contract';
import { awsProxy, control } from './run/activities';
import { type BegunRun, take } from './run/begin';
import { compensating } from './run/compensation';
import { inDependencyOrder } from './run/dependency-order';
import { type RunProgress } from './run/run-status';
import { seconds } from './run/seconds';
import { requireSaid } from './discarded-writes';
import { moveDns, proveDns, returnDns } from './dns';
import { instanceOf } from './homecoming';
import { type ReadyVm, startAtHome, stopAtHome } from './home-vms';
import { startFence } from './start-fence';
import { type UndoRequest, type UndoSummary } from './undo-request';

/**
 * Back to the instances, which are there, stopped, until the commit; what home wrote since their stop is discarded. The VMs at home
 * stay, off, and the fence keeps them so.
 */
export async function undoFailback(
  begun: BegunRun,
  { discardWritesSince, homeLost = false }: UndoRequest,
  progress: RunProgress,
): Promise<UndoSummary> {
  const { state } = begun;
  // Those that the failover left out are at neither site.
  const plan = planWithout(begun.plan, new Set(begun.without));
  progress.phase('checking');
  const instances = await awsProxy.readInstances({ run: begun.run, plan });
  // A failback of an earlier release did not keep when it stopped the instances: it ended then at the latest.
  const since = state?.homeSince ?? state?.updatedAt ?? '';
  const vms = plan.vms.map(({ name }) => name);
  requireSaid({ plan: plan.name, undone: 'failback', since, vms }, discardWritesSince);

  const back = await compensating(async (compensations) => {
    const run = await take(begun, [begun.phase], 'failing-back', { undoing: 'failback' });
    compensations.add("give the plan's state back", () => control.movePlanState({ run, to: 'failed-back' }));
    let instancesStart = false;
    const stopInstances = () =>
      inDependencyOrder(reversed(plan.vms), ({ name: vm }) =>
        awsProxy.stopInstance({ run, vm, instanceId: instanceOf(instances, vm).instanceId }),
      );
    // One undo, as the VMs at home stay off where an instance could not be stopped.
    compensations.add(
      homeLost ? 'stop the instances again' : 'serve from the primary site again',
      async () => {
        if (instancesStart) await stopInstances();
        if (homeLost) return;
        await startAtHome(run, plan.vms, progress);
        await returnDns(run, begun.plan);
      },
    );

    const stopping = Date.now();
    let warnings: string[] = [];
    if (!homeLost) {
      progress.phase('stopping the VMs at the primary site');
      warnings = await stopAtHome(run, plan.vms, progress);
    }

    progress.phase('starting the instances');
    instancesStart = true;
    const addresses = new Map<string, InstanceAddresses>();
    const ready = await inDependencyOrder(
      plan.vms,
      async ({ name: vm, readiness: probe }): Promise<ReadyVm> => {
        const { instanceId, instanceType } = instanceOf(instances, vm);
        progress.vm(vm, 'booting', `${instanceId} (${instanceType})`);
        const found = await awsProxy.startInstance({ run, vm, instanceId, instanceType });
        addresses.set(vm, found);
        const address = found.privateAddress;
        progress.vm(vm, 'waiting until ready', address);
        const { seconds: readySeconds } = await awsProxy.waitUntilReady({
          run,
          vm,
          instanceId,
          address,
          probe,
        });
        progress.vm(vm, 'ready', address);
        return { vm, readySeconds };
      },
    );

    progress.phase('moving DNS');
    const dns = await moveDns(run, plan, addresses);
    const downtimeSeconds = seconds(Date.now() - stopping);
    await control.movePlanState({ run, to: 'failed-over', fence: wantsFence(plan) });
    return { run, ready: [...ready.values()], dns, downtimeSeconds, warnings };
  });

  // A person has ended the order, and nobody but a person gives it again.
  const stopped = state?.fence?.order === 'stopped';
  const left = stopped ? undefined : await startFence(back.run, plan);
  const unfenced = stopped
    ? [
        `Nothing keeps the VMs off at the primary site, as the fence was stopped: lifeboat fence ${plan.name} --start`,
      ]
    : [];
  progress.phase('asking the name servers');
  const notes = await proveDns(plan, back.dns, 'recovery site');
  progress.phase('done');
  return {
    ...{ plan: plan.name, undone: 'failback', discardedSince: since, vms: back.ready },
    ...{
      downtimeSeconds: back.downtimeSeconds,
      removed: [],
      warnings: [...back.warnings, ...unfenced, ...notes],
    },
    ...(left === undefined ? {} : { fence: left }),
  };
}
