import { ApplicationFailure } from '@temporalio/workflow';
import { amongThemselves, reversed } from '../plan/order';
import { bothNames, type PrimaryVm } from '../plan/primary-vm';
import { type PlannedVm } from '../plan/schema';
import { backupProxy } from './run/activities';
import { begin, type BegunRun, requirePhase, type RunRequest, take } from './run/begin';
import { type Compensations } from './run/compensation';
import { inDependencyOrder } from './run/dependency-order';
import { causeMessage, hasFailureType } from './run/failure-message';
import { type RunProgress } from './run/run-status';
import { backUpAndRestore } from './backup-and-restore';
import { startVmAtHome } from './home-vms';

/** What a planned failover goes on from. */
export interface LastState {
  /** The recovery point of each VM, of after its shutdown. */
  recoveryPoints: ReadonlyMap<string, string>;
  /** Milliseconds since 1970: when the first VM was asked to shut down. */
  downSince: number;
}

/**
 * Brings the DR copies to what the VMs held when they were shut down: a round of replication while they serve, so that little is left
 * to copy; the shutdown, those first that others do not depend on; and a second round, of VMs that write no more.
 * What is shut down is started again where the run fails.
 */
export async function bringLastState(
  begun: BegunRun,
  progress: RunProgress,
  compensations: Compensations,
): Promise<LastState> {
  const { plan, run } = begun;
  // What nobody can wait for until a window opens.
  const round = { plan: plan.name, digest: run.digest, outsideWindow: true };
  const vms = plan.vms.map(bothNames);
  // Before anything is shut down: it is found out here whether the site answers.
  const { power: before } = await backupProxy.readPower({ vms });
  await backUpAndRestore(progress, round, 'before the shutdown');

  const running = plan.vms.filter((_, index) => before[index] === 'running');
  compensations.add('start the VMs at the primary site again', () => startAgain(begun, running, progress));
  progress.phase('shutting down at the primary site');
  const downSince = Date.now();
  const shutdown = new Shutdown(round);
  await inDependencyOrder(reversed(plan.vms), async (vm) => {
    progress.vm(vm.name, 'shutting down', 'at the primary site');
    await shutdown.of(vm);
    progress.vm(vm.name, 'shut down', 'at the primary site');
  });

  const { backup } = await backUpAndRestore(progress, round, 'after the shutdown');
  await requireOff(vms);
  return { recoveryPoints: new Map(backup.vms.map(({ vm, backupId }) => [vm, backupId])), downSince };
}

/** Restores that a schedule begins meanwhile each take the plan's state for a moment. */
const FENCED_AT_MOST = 10;

/** Shuts VMs down as a run that has read the plan's state, and reads it again where another run has taken it since. */
class Shutdown {
  private latest: Promise<BegunRun>;

  constructor(private readonly request: RunRequest) {
    this.latest = this.read();
  }

  /** @throws ApplicationFailure WrongPhase where another run has taken the application elsewhere meanwhile */
  async of(vm: PlannedVm): Promise<void> {
    for (let fenced = 1; ; fenced++) {
      const { latest } = this;
      const { run } = await latest;
      try {
        return await backupProxy.shutDownVm({ run, ...bothNames(vm) });
      } catch (error) {
        if (!hasFailureType(error, 'Fenced') || fenced === FENCED_AT_MOST) throw error;
        if (this.latest === latest) this.latest = this.read();
      }
    }
  }

  private async read(): Promise<BegunRun> {
    const begun = await begin(this.request);
    requirePhase(begun, ['protected'], 'shut VMs down for');
    return begun;
  }
}

/** What somebody has started since writes what no backup has. */
async function requireOff(vms: PrimaryVm[]): Promise<void> {
  const { power } = await backupProxy.readPower({ vms });
  const started = vms.filter((_, index) => power[index] === 'running').map(({ vm }) => vm);
  if (started.length > 0)
    throw ApplicationFailure.nonRetryable(
      `${started.join(', ')}: started again at the primary site after the shutdown, so the last backup lacks what was written since. ` +
        'Find out by whom, and start the planned failover again.',
      'StartedMeanwhile',
    );
}

/**
 * In their order, as far as it goes. The plan's state is taken first: it fences off what may still want to shut them down, and it is refused
 * where another run has taken the application elsewhere.
 * @throws ApplicationFailure that names those which do not serve again
 */
async function startAgain(begun: BegunRun, vms: readonly PlannedVm[], progress: RunProgress): Promise<void> {
  const run = await take(begun, ['protected'], 'protected');
  progress.phase('starting the VMs at the primary site again');
  const failed: string[] = [];
  await inDependencyOrder(amongThemselves(vms), async (vm) => {
    try {
      await startVmAtHome(run, vm, progress);
    } catch (error) {
      // Those that depend on it may serve without it, and off they serve nobody.
      failed.push(`${vm.name}: ${causeMessage(error)}`);
      progress.vm(vm.name, 'not ready', causeMessage(error));
    }
  });
  if (failed.length > 0)
    throw ApplicationFailure.nonRetryable(
      `Of the plan ${run.plan}, at the primary site, ${failed.join('; ')}`,
      'NotStartedAgain',
    );
}
