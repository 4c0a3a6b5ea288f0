import { ApplicationFailure } from '@temporalio/common';
import { mapAhead } from '../../blocks/pipeline';
import { type Hypervisor, NotShutDownError, type PowerState, VmNotFoundError } from '../../hypervisor/port';
import { primaryNameOf, primaryNameText } from '../../plan/primary-vm';
import { type RepositoryAddress } from '../../plan/run';
import { type ObjectStore } from '../../repository/objects/object-store';
import { checkGeneration, checkPlanState } from '../../repository/plans/plan-state';
import { withFailures } from '../failures';
import { beating } from '../heartbeat';
import { type BackupProxyActivities } from './contract';
import { marksOf } from './vm-mark';

type PowerActivities = Pick<BackupProxyActivities, 'readPower' | 'shutDownVm' | 'startVm'>;

/** Seconds for a guest to shut down: databases write for minutes, and Windows installs its updates first. */
const SHUTDOWN_SECONDS = 900;

/** VMs that a hypervisor is asked for at once: one after another, a thousand take minutes; vCenter serves many users at a time. */
export const VMS_AT_ONCE = 8;

interface PowerDependencies {
  hypervisor: Hypervisor;
  objectStore: (address: RepositoryAddress) => ObjectStore;
  /** Instead of {@link SHUTDOWN_SECONDS}. */
  shutdownSeconds?: number;
}

/**
 * The power of the company's own VMs, which a planned failover shuts down. Nothing here takes the power away from a guest: what it
 * has not written would be lost.
 */
export function createPowerActivities({
  hypervisor,
  objectStore,
  shutdownSeconds,
}: PowerDependencies): PowerActivities {
  return withFailures(
    beating<PowerActivities>({
      async readPower({ vms, undo }) {
        const power: PowerState[] = [];
        const missing: string[] = [];
        const unfinished = marksOf(undo?.plan ?? '', undo?.unfinishedFailbacks ?? []);
        const look = async (vm: (typeof vms)[number]) => {
          try {
            const { power, mark, heldBy } = await hypervisor.describeVm(primaryNameOf(vm));
            if (unfinished.has(mark ?? '') || unfinished.has(heldBy ?? ''))
              missing.push(`${primaryNameText(vm)} that is whole`);
            return power;
          } catch (error) {
            if (!(error instanceof VmNotFoundError)) throw error;
            missing.push(primaryNameText(vm));
            return 'off';
          }
        };
        for await (const state of mapAhead(vms, VMS_AT_ONCE, look)) power.push(state);
        if (missing.length > 0)
          throw ApplicationFailure.nonRetryable(
            `The primary site has no VM ${missing.sort().join(', ')}. ` +
              (undo === undefined
                ? 'A planned failover begins with all VMs of the plan at home; in a disaster, fail over without it.'
                : 'To undo a failover, all VMs of the plan have to be at home as they were; bring the application home by a failback.'),
            'PrimarySiteNotReady',
          );
        return { power };
      },

      async shutDownVm({ run, ...vm }) {
        // A try that comes late must not shut down what the run has started again.
        await checkGeneration(objectStore(run.repository), run);
        try {
          await hypervisor.shutDown(primaryNameOf(vm), shutdownSeconds ?? SHUTDOWN_SECONDS);
        } catch (error) {
          if (!(error instanceof NotShutDownError)) throw error;
          throw ApplicationFailure.nonRetryable(
            `${error.message.replace(/\.$/, '')}. It may still do so: look at its console, shut it down yourself, and start the planned failover again.`,
            'ShutdownFailed',
          );
        }
      },

      async startVm({ run, ...vm }) {
        await checkPlanState(objectStore(run.repository), run);
        const name = primaryNameOf(vm);
        // Started by a try whose reply was lost, or by somebody else.
        if ((await hypervisor.describeVm(name)).power === 'off') await hypervisor.powerOn(name);
      },
    }),
  );
}
