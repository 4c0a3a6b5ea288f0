import { CancellationScope, isCancellation, setHandler } from '@temporalio/workflow';
import { vmsOf } from '../plan/record-vms';
import { allDependencies } from '../plan/order';
import { type RunContext } from '../plan/run';
import { type DrPlan, type PlannedVm } from '../plan/schema';
import { dependentsOf } from '../plan/without';
import { awsProxy } from './run/activities';
import { awsName } from './run/asker';
import { requireDeciding } from './run/decisions';
import { causeMessage, hasFailureType } from './run/failure-message';
import { type Deciding, type SkipRequest, skipUpdate } from './run/messages';
import { type RunProgress } from './run/run-status';

/** A VM that a failover goes on without. */
export interface LeftOutVm {
  vm: string;
  /** `failed`: the plan calls it optional. */
  because: 'skipped' | 'failed';
  /** Who has skipped it; absent where nobody has. */
  by?: string;
  /** ARN by which AWS knows who has; absent where it is not told. */
  as?: string;
  why: string;
  /** ISO 8601, UTC. */
  at: string;
  /** Names of its DNS records, which are left as they are; absent where it has none. */
  dnsRecords?: string[];
  /** Why what was made for it may still be there; absent where it was removed. */
  notRemoved?: string;
}

const EXAMPLE = '{"vm": "db", "by": "your name", "why": "the reason"}';

/**
 * VMs that a failover goes on without: those that people skip, and optional ones that fail. What was made for one is removed,
 * and whoever waits for it goes on when that is done.
 */
export class LeavingOut {
  private readonly leftOut = new Map<string, LeftOutVm>();
  private readonly removals = new Map<string, Promise<void>>();
  private readonly hearOfSkip = new Map<string, () => void>();
  private readonly up = new Set<string>();
  private readonly failed = new Set<string>();
  private readonly byName: ReadonlyMap<string, PlannedVm>;
  /** Present while VMs are being recovered. */
  private recovering: { scope: CancellationScope; giveUp: (vm: string) => Promise<void> } | undefined;

  constructor(
    private readonly run: RunContext,
    private readonly plan: DrPlan,
    private readonly progress: RunProgress,
  ) {
    this.byName = new Map(plan.vms.map((vm) => [vm.name, vm]));
    setHandler(skipUpdate, (request) => this.skip(request), {
      description: `Goes on without a VM that does not run yet: ${EXAMPLE}; "dependents" "skip" or "start" where others depend on it.`,
      validator: (request) => void this.plannedSkip(request),
    });
  }

  /** In plan order. */
  get vms(): LeftOutVm[] {
    return this.plan.vms.flatMap(({ name }) => this.leftOut.get(name) ?? []);
  }

  has(vm: string): boolean {
    return this.leftOut.has(vm);
  }

  /** Whether nothing more is to come of a VM. */
  hasEnded(vm: string): boolean {
    return this.up.has(vm) || this.leftOut.has(vm) || this.failed.has(vm);
  }

  /** VMs that have failed, by which the run will fail. */
  get failedVms(): string[] {
    return [...this.failed];
  }

  /** VMs that one depends on, directly or not, and that are left out. */
  neededBy(vm: string): string[] {
    if (this.leftOut.size === 0) return [];
    const needed = allDependencies(vm, this.byName);
    return this.vms.map((left) => left.vm).filter((name) => needed.has(name));
  }

  /** From now on, in the present scope, VMs may be left out. @param giveUp returns when nothing of a VM goes on any more */
  begin(giveUp: (vm: string) => Promise<void>): void {
    this.recovering = { scope: CancellationScope.current(), giveUp };
  }

  end(): void {
    this.recovering = undefined;
  }

  /** Does a VM's work, unless and until it is left out. @returns undefined where it is left out, and removed */
  async unlessLeftOut<T>(vm: PlannedVm, work: () => Promise<T>): Promise<T | undefined> {
    if (!this.leftOut.has(vm.name)) {
      const skipped = new Promise<undefined>((resolve) =>
        this.hearOfSkip.set(vm.name, () => resolve(undefined)),
      );
      const working = work();
      // Where it is skipped, how its work ends is nobody's concern.
      working.catch(() => undefined);
      try {
        const result = await Promise.race([working, skipped]);
        if (!this.leftOut.has(vm.name)) {
          this.up.add(vm.name);
          return result;
        }
      } catch (error) {
        if (!this.leftOut.has(vm.name)) this.leaveOutFailed(vm, error);
      }
    }
    await this.removals.get(vm.name);
    return undefined;
  }

  /** @throws the error, where the application cannot do without the VM */
  private leaveOutFailed(vm: PlannedVm, error: unknown): void {
    if (isCancellation(error)) throw error;
    if (vm.optional !== true || hasFailureType(error, 'Fenced')) {
      this.failed.add(vm.name);
      throw error;
    }
    this.leaveOut(vm.name, { because: 'failed', why: causeMessage(error) });
  }

  private skip(request: SkipRequest): { skipped: string[]; startWithout: string[] } {
    const planned = this.plannedSkip(request);
    const { by, why } = request;
    for (const vm of planned.skipped) this.leaveOut(vm, { because: 'skipped', by, ...awsName(request), why });
    return planned;
  }

  /** @throws Error where that cannot be, which says why */
  private plannedSkip(request: SkipRequest): { skipped: string[]; startWithout: string[] } {
    requireDeciding(request, EXAMPLE);
    const { vm, dependents } = request as Deciding & Partial<Record<keyof SkipRequest, unknown>>;
    if (typeof vm !== 'string' || !this.byName.has(vm))
      throw new Error(
        `Say which VM of the plan is skipped, such as ${EXAMPLE}; it has ${[...this.byName.keys()].join(', ')}.`,
      );
    if (this.recovering === undefined)
      throw new Error('VMs can be skipped while the run recovers them, and it does not now.');
    if (this.up.has(vm)) throw new Error(`${vm} runs already; it is not skipped any more.`);
    if (this.leftOut.has(vm)) throw new Error(`${vm} is left out already.`);
    if (this.failed.has(vm)) throw new Error(`${vm} has failed, and this run takes itself back for it.`);
    const waiting = dependentsOf(this.plan, vm).filter((name) => !this.hasEnded(name));
    if (waiting.length > 0 && dependents !== 'skip' && dependents !== 'start')
      throw new Error(
        `${waiting.join(', ')} depend on ${vm}. Say what becomes of them: "dependents": "skip" gives them up, too (lifeboat skip ` +
          '--with-dependents); "start" lets them start without it (--start-dependents).',
      );
    const skipped = [vm, ...(dependents === 'skip' ? waiting : [])];
    if (this.plan.vms.every(({ name }) => this.leftOut.has(name) || skipped.includes(name)))
      throw new Error('No VM of the plan would be left; cancel the run instead.');
    return { skipped, startWithout: dependents === 'start' ? waiting : [] };
  }

  private leaveOut(vm: string, told: Pick<LeftOutVm, 'because' | 'by' | 'as' | 'why'>): void {
    const { recovering } = this;
    const dnsRecords = (this.plan.dns?.records ?? []).flatMap((record) =>
      // One of several VMs leads to the others.
      vmsOf(record).includes(vm) && vmsOf(record).every((one) => one === vm || this.leftOut.has(one))
        ? [record.name]
        : [],
    );
    const left: LeftOutVm = {
      ...{ vm, ...told, at: new Date().toISOString() },
      ...(dnsRecords.length === 0 ? {} : { dnsRecords }),
    };
    this.leftOut.set(vm, left);
    const detail = told.by === undefined ? told.why : `by ${told.by}: ${told.why}`;
    this.progress.leaveOut(vm, 'being given up', detail);
    const removal =
      recovering?.scope.run(async () => {
        await recovering.giveUp(vm);
        await this.remove(left);
        this.progress.leaveOut(vm, told.because === 'skipped' ? 'skipped' : 'failed, but optional', detail);
      }) ?? Promise.resolve();
    // Whoever waits for the VM hears of it.
    removal.catch(() => undefined);
    this.removals.set(vm, removal);
    this.hearOfSkip.get(vm)?.();
  }

  /** What cannot be removed keeps no application from being recovered; it is told in the result. */
  private async remove(left: LeftOutVm): Promise<void> {
    try {
      await awsProxy.removeRecoveryResources({ run: this.run, vm: left.vm });
    } catch (error) {
      if (isCancellation(error)) throw error;
      left.notRemoved = causeMessage(error);
    }
  }
}
