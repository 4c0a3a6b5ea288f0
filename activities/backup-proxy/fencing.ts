import { mapAhead } from '../../blocks/pipeline';
import { messageOf } from '../../host/message-of';
import { type Hypervisor, NotShutDownError } from '../../hypervisor/port';
import { fenceStanding } from '../../plan/fence';
import { primaryNameOf, type PrimaryVm } from '../../plan/primary-vm';
import { type RepositoryAddress, type RunContext } from '../../plan/run';
import { type ObjectStore } from '../../repository/objects/object-store';
import { checkPlanState, FencedError, readPlanState } from '../../repository/plans/plan-state';
import { withFailures } from '../failures';
import { beating } from '../heartbeat';
import { type BackupProxyActivities } from './contract';
import { VMS_AT_ONCE } from './power';
import { vmIfThere } from './vm-if-there';
import { isMarkOfPlan } from './vm-mark';

type FencingActivities = Pick<BackupProxyActivities, 'fenceVms' | 'stopVm'>;

interface FencingDependencies {
  hypervisor: Hypervisor;
  objectStore: (address: RepositoryAddress) => ObjectStore;
  /** Instead of {@link SHUTDOWN_SECONDS}. */
  shutdownSeconds?: number;
}

/** Seconds for a guest to shut down by itself whose writes are given up in any case. */
const SHUTDOWN_SECONDS = 180;

/**
 * Takes the power from VMs at home whose writes are given up: of a plan that serves at the recovery site, or is about to. A guest
 * that is fenced is not asked to shut down first: it would serve for minutes more, beside its successor.
 */
export function createFencingActivities({
  hypervisor,
  objectStore,
  shutdownSeconds = SHUTDOWN_SECONDS,
}: FencingDependencies): FencingActivities {
  /** The VM under the plan's name for it: undefined where there is none, or it is another plan's. */
  async function find(run: RunContext, vm: PrimaryVm) {
    const found = await vmIfThere(hypervisor, primaryNameOf(vm));
    return isMarkOfPlan(found?.mark, run.plan) ? found : undefined;
  }

  return withFailures(
    beating<FencingActivities>({
      async fenceVms({ run, vms }) {
        const store = objectStore(run.repository);
        const state = await readPlanState(store, run.plan);
        const standing = fenceStanding(state);
        const told = {
          ...{ standing, digest: state?.digest ?? run.digest },
          ...(state?.fence === undefined ? {} : { fence: state.fence }),
        };
        const poweredOff: string[] = [];
        const failed: { vm: string; why: string }[] = [];
        if (standing !== 'open' || state === undefined) return { ...told, poweredOff, failed };
        const fenceOne = async (vm: PrimaryVm): Promise<void> => {
          try {
            if ((await find(run, vm))?.power !== 'running') return;
            await requireOpen(store, run, state.generation);
            await hypervisor.powerOff(primaryNameOf(vm));
            poweredOff.push(vm.vm);
          } catch (error) {
            if (error instanceof FencedError) throw error;
            // One that cannot be powered off is no reason to leave the others on.
            failed.push({ vm: vm.vm, why: messageOf(error) });
          }
        };
        // What the failover left out has no successor, and its records still lead home.
        const succeeded = vms.filter(({ vm }) => state.without?.includes(vm) !== true);
        for await (const _ of mapAhead(succeeded, VMS_AT_ONCE, fenceOne));
        return { ...told, poweredOff, failed };
      },

      async stopVm({ run, ...vm }) {
        const store = objectStore(run.repository);
        await checkPlanState(store, run);
        const name = primaryNameOf(vm);
        if ((await find(run, vm))?.power !== 'running') return { how: 'was off' };
        try {
          await hypervisor.shutDown(name, shutdownSeconds);
          return { how: 'shut down' };
        } catch (error) {
          if (!(error instanceof NotShutDownError)) throw error;
        }
        // It took its time, in which the run may have ended.
        await checkPlanState(store, run);
        await hypervisor.powerOff(name);
        return { how: 'powered off' };
      },
    }),
  );
}

/** Asked again right before the power is taken: a failback, or an undo, starts these VMs on purpose. @throws FencedError */
async function requireOpen(store: ObjectStore, run: RunContext, generation: number): Promise<void> {
  const state = await readPlanState(store, run.plan);
  if (fenceStanding(state) !== 'open' || state?.generation !== generation)
    throw new FencedError({ ...run, generation }, state);
}
