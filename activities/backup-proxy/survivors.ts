import { ApplicationFailure } from '@temporalio/common';
import { type Hypervisor } from '../../hypervisor/port';
import { primaryNameOf, primaryNameText, type PrimaryVm } from '../../plan/primary-vm';
import { type RepositoryAddress, type RunContext } from '../../plan/run';
import { type ObjectStore } from '../../repository/objects/object-store';
import { checkPlanState, FencedError, readPlanState } from '../../repository/plans/plan-state';
import { withFailures } from '../failures';
import { beating } from '../heartbeat';
import { type BackupProxyActivities } from './contract';
import { vmIfThere } from './vm-if-there';
import { isMarkOfPlan, markOf, marksOf } from './vm-mark';

interface SurvivorDependencies {
  hypervisor: Hypervisor;
  objectStore: (address: RepositoryAddress) => ObjectStore;
}

type SurvivorActivities = Pick<
  BackupProxyActivities,
  'holdVm' | 'revertVm' | 'dropVmHold' | 'setVmAside' | 'bringVmBack'
>;

/**
 * VMs that were at the primary site before a failback: one that survived is held while the failback works on it, so that it can be
 * given back as it was; another that bears its name is set aside, and gets its name back where the failback is taken back.
 */
export function createSurvivorActivities({
  hypervisor,
  objectStore,
}: SurvivorDependencies): SurvivorActivities {
  return withFailures(
    beating<SurvivorActivities>({
      async holdVm({ run, unfinishedFailbacks, ...names }) {
        // A try that comes late must not hold a VM that serves, or was given back.
        await checkFailingBack(objectStore(run.repository), run);
        const name = primaryNameOf(names);
        const { heldBy, power } = await hypervisor.describeVm(name);
        if (power === 'running') throw running(names);
        if (heldBy !== undefined && heldBy !== markOf(run)) {
          if (!isMarkOfPlan(heldBy, run.plan)) throw heldByOthers(names, heldBy);
          // What is there is half a copy; after a failback that came to its end, the VM has served since.
          if (marksOf(run.plan, unfinishedFailbacks).has(heldBy)) await hypervisor.revertVm(name, heldBy);
          else await hypervisor.dropHold(name, heldBy);
        }
        await hypervisor.holdVm(name, markOf(run));
      },

      async revertVm({ run, ...names }) {
        await hypervisor.revertVm(primaryNameOf(names), markOf(run));
      },

      async dropVmHold({ run, ...names }) {
        await hypervisor.dropHold(primaryNameOf(names), markOf(run));
      },

      async setVmAside({ run, aside, ...names }) {
        await checkFailingBack(objectStore(run.repository), run);
        const name = primaryNameOf(names);
        const existing = await vmIfThere(hypervisor, name);
        // Set aside by a try whose reply was lost; the template VM may be there already.
        if (existing === undefined || existing.mark === markOf(run)) return;
        if (existing.power === 'running') throw running(names);
        // Checked beforehand; it may be another one by now.
        if (!isMarkOfPlan(existing.mark, run.plan)) throw heldByOthers(names, existing.mark ?? '');
        await hypervisor.renameVm(name, aside);
      },

      async bringVmBack({ run, aside, ...names }) {
        const name = primaryNameOf(names);
        if ((await vmIfThere(hypervisor, aside)) === undefined) return;
        const inTheWay = await vmIfThere(hypervisor, name);
        if (inTheWay !== undefined)
          throw ApplicationFailure.nonRetryable(
            `The VM ${primaryNameText(names)} that was there before the failback ${run.runId} is "${aside}" now, and another has its name. ` +
              'Give it its name back when that one is gone.',
            'PrimarySiteNotReady',
          );
        await hypervisor.renameVm(aside, name);
      },
    }),
  );
}

/** @throws FencedError where the run's failback does not go on */
async function checkFailingBack(store: ObjectStore, run: RunContext): Promise<void> {
  await checkPlanState(store, run);
  const state = await readPlanState(store, run.plan);
  if (state?.phase !== 'failing-back') throw new FencedError(run, state);
}

/** What keeps a failback from working on a VM that runs, and what to do. */
export function runningText(names: PrimaryVm): string {
  return (
    `The VM ${primaryNameText(names)} runs at the primary site, beside its instance on EC2. Shut it down there, so that a failback can ` +
    'work on its disks; what it has written since its last backup is lost by the failback.'
  );
}

function running(names: PrimaryVm): ApplicationFailure {
  return ApplicationFailure.nonRetryable(runningText(names), 'PrimarySiteNotReady');
}

/** What keeps a failback from a VM that another plan's failback works on. */
export function heldByOthersText(names: PrimaryVm, heldBy: string): string {
  return `The VM ${primaryNameText(names)} is held by "${heldBy}", which is no run of this plan. Is it in two plans?`;
}

function heldByOthers(names: PrimaryVm, heldBy: string): ApplicationFailure {
  return ApplicationFailure.nonRetryable(heldByOthersText(names, heldBy), 'PrimarySiteNotReady');
}
