import { isCancellation, patched } from '@temporalio/workflow';
import { type AwaitedConsole, type KeptEvidence } from '../activities/aws-proxy/launch/contract';
import { type RunContext } from '../plan/run';
import { type RecoveredVm } from './failover-vm';
import { awsProxy } from './run/activities';
import { causeMessage } from './run/failure-message';
import { Gathered } from './run/gathered';

/** VMs whose consoles one activity looks at: as many as EC2 tells the status checks of in one answer. */
const CONSOLES_AT_ONCE = 100;

/**
 * What the consoles of a run's VMs show, kept while the run goes on: no VM waits for another's picture, and at the end only those
 * are left that came up last.
 */
export class ConsoleEvidenceOfRun {
  /** Absent in runs of earlier releases, which keep none. */
  private readonly waiting: Gathered<AwaitedConsole> | undefined;
  private readonly kept = new Map<string, KeptEvidence>();

  constructor(private readonly run: RunContext) {
    if (patched('console evidence'))
      this.waiting = new Gathered(
        async (vms) => {
          for (const evidence of await this.keep(vms)) this.kept.set(evidence.vm, evidence);
        },
        // Of sixty VMs at EC2's two launches a second: a thousand take some twenty activities.
        { most: CONSOLES_AT_ONCE, within: '30 seconds' },
      );
  }

  /** The VM is up. */
  readonly add = ({ vm, instanceId }: RecoveredVm): void => this.waiting?.add({ vm, instanceId });

  /** Adds to the VMs what their consoles showed. None is looked at after this. @param begin is called where that takes time */
  async addTo(
    recovered: ReadonlyMap<string, RecoveredVm>,
    begin: () => void,
  ): Promise<Map<string, RecoveredVm>> {
    if (this.waiting === undefined) return new Map(recovered);
    begin();
    await this.waiting.end();
    return new Map(
      [...recovered].map(([name, vm]) => {
        const { console, warnings = [] } = this.kept.get(name) ?? {};
        // Into the same list, which others add to, too.
        vm.warnings.push(...warnings);
        return [name, console === undefined ? vm : { ...vm, console }];
      }),
    );
  }

  private async keep(vms: AwaitedConsole[]): Promise<KeptEvidence[]> {
    try {
      return await awsProxy.keepConsoles({ run: this.run, vms });
    } catch (error) {
      if (isCancellation(error)) throw error;
      const warnings = [`What its console showed was not kept: ${causeMessage(error)}`];
      const console = { takenAt: new Date().toISOString() };
      return vms.map(({ vm }) => ({ vm, console, warnings }));
    }
  }
}
