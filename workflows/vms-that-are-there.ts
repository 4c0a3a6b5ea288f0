import { CancellationScope, log } from '@temporalio/workflow';
import { type PrimaryVm } from '../plan/primary-vm';
import { type RunContext } from '../plan/run';
import { type BackupProxyActivities } from '../activities/backup-proxy/contract';
import { backupProxy } from './run/activities';
import { type Compensations } from './run/compensation';
import { causeMessage } from './run/failure-message';

/** What is at home under the VMs' names. */
export interface VmsThatAreThere {
  /** VMs that are as their last backups know them. */
  survived: ReadonlySet<string>;
  /** By VM: what another of its name is to be called. */
  asides: ReadonlyMap<string, string>;
  /** Runs that have left half a copy in what they hold. */
  unfinishedFailbacks: string[];
}

/** Workers of earlier releases answer without either, or with nothing at all. */
export function vmsThatAreThere(
  checked: Awaited<ReturnType<BackupProxyActivities['checkPrimarySite']>> | undefined,
  unfinishedFailbacks: string[],
): VmsThatAreThere {
  return {
    survived: new Set(checked?.survived),
    asides: new Map(checked?.setAside?.map(({ vm, aside }) => [vm, aside])),
    unfinishedFailbacks,
  };
}

/** A VM that survived is given back as it was; any other was made, and goes, and what had its name has it again. */
export function takeBackAtHome(
  compensations: Compensations,
  run: RunContext,
  names: PrimaryVm,
  { survived, asides }: VmsThatAreThere,
): void {
  if (survived.has(names.vm)) {
    compensations.add(`give ${names.vm} back as it was`, () => backupProxy.revertVm({ run, ...names }));
    return;
  }
  const aside = asides.get(names.vm);
  if (aside !== undefined)
    compensations.add(`give the VM ${aside} its name back`, () =>
      backupProxy.bringVmBack({ run, ...names, aside }),
    );
  compensations.add(`remove ${names.vm}'s template VM`, () =>
    backupProxy.removeTemplateVm({ run, ...names }),
  );
}

/**
 * Holds them no more, also where the run is cancelled: what a VM that serves is held by grows, and nothing goes back to it.
 * @returns a sentence for each that is still held
 */
export async function dropHolds(run: RunContext, vms: PrimaryVm[]): Promise<string[]> {
  const dropped = await CancellationScope.nonCancellable(() =>
    Promise.allSettled(vms.map((names) => backupProxy.dropVmHold({ run, ...names }))),
  );
  return dropped.flatMap((one, index) => {
    if (one.status === 'fulfilled') return [];
    const why = causeMessage(one.reason);
    log.error('a VM that came home is still held', { vm: vms[index]?.vm, why });
    return [
      `${vms[index]?.vm} came home, and is still held as it was before (${why}). The next failback drops that; until then it takes room.`,
    ];
  });
}
