import { condition, isCancellation, patched } from '@temporalio/workflow';
import { type AwaitedConsole, type KeptEvidence } from '../activities/aws-proxy/launch/contract';
import { type RunContext } from '../plan/run';
import { type RecoveredVm } from './failover-vm';
import { awsProxy } from './run/activities';
import { causeMessage } from './run/failure-message';

/** VMs whose consoles one activity looks at: as many as EC2 tells the status checks of in one answer. */
const CONSOLES_AT_ONCE = 100;
/**
 * What a VM that is up waits for others. EC2 launches two a second, so that an activity is about sixty of them, and a thousand
 * VMs take some twenty activities.
 */
const GATHER = '30 seconds';

/**
 * What the consoles of a run's VMs show, kept while the run goes on: no VM waits for another's picture, and at the end only those
 * are left that came up last.
 */
export class ConsoleEvidenceOfRun {
  private waiting: AwaitedConsole[] = [];
  private readonly kept = new Map<string, KeptEvidence>();
  private isLast = false;
  private readonly work: Promise<void> | undefined;

  constructor(private readonly run: RunContext) {
    // Runs of earlier releases keep none.
    if (patched('console evidence')) this.work = this.keepAll();
    // Whoever asks for the evidence is told of a cancellation; a run that fails before asks nothing.
    this.work?.catch(() => undefined);
  }

  /** The VM is up. */
  readonly add = ({ vm, instanceId }: RecoveredVm): void => void this.waiting.push({ vm, instanceId });

  /** Adds to the VMs what their consoles showed. None is looked at after this. @param begin is called where that takes time */
  async addTo(
    recovered: ReadonlyMap<string, RecoveredVm>,
    begin: () => void,
  ): Promise<Map<string, RecoveredVm>> {
    if (this.work === undefined) return new Map(recovered);
    this.isLast = true;
    begin();
    await this.work;
    return new Map(
      [...recovered].map(([name, vm]) => {
        const { console, warnings = [] } = this.kept.get(name) ?? {};
        // Into the same list, which others add to, too.
        vm.warnings.push(...warnings);
        return [name, console === undefined ? vm : { ...vm, console }];
      }),
    );
  }

  private async keepAll(): Promise<void> {
    for (;;) {
      await condition(() => this.isLast || this.waiting.length > 0);
      const full = (): boolean => this.isLast || this.waiting.length >= CONSOLES_AT_ONCE;
      if (!full()) await condition(full, GATHER);
      const vms = this.waiting.splice(0, CONSOLES_AT_ONCE);
      if (vms.length === 0) return;
      for (const evidence of await this.keep(vms)) this.kept.set(evidence.vm, evidence);
    }
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
