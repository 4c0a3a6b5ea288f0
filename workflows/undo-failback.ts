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
import { type ReadyVm, startAtHome, stopAtHome } from './home-vms';
import { startFence } from './start-fence';
import { type UndoRequest, type UndoSummary } from './undo-request';
import { instanceOf } from './undo-failover';

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
    if (!homeLost)
      compensations.add('serve from the primary site again', async () => {
        await startAtHome(run, plan.vms, progress);
        await returnDns(run, begun.plan);
      });

    const stopping = Date.now();
    let warnings: string[] = [];
    if (!homeLost) {
      progress.phase('stopping the VMs at the primary site');
      warnings = await stopAtHome(run, plan.vms, progress);
    }

    progress.phase('starting the instances');
    compensations.add('stop the instances again', () =>
      inDependencyOrder(reversed(plan.vms), ({ name: vm }) =>
        awsProxy.stopInstance({ run, vm, instanceId: instanceOf(instances, vm).instanceId }),
      ),
    );
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

  const left = await startFence(back.run, plan);
  progress.phase('asking the name servers');
  const notes = await proveDns(plan, back.dns, 'recovery site');
  progress.phase('done');
  return {
    ...{ plan: plan.name, undone: 'failback', discardedSince: since, vms: back.ready },
    ...{ downtimeSeconds: back.downtimeSeconds, removed: [], warnings: [...back.warnings, ...notes] },
    ...(left === undefined ? {} : { fence: left }),
  };
}
