import { ApplicationFailure, condition } from '@temporalio/workflow';
import { startOrder } from '../plan/order';
import { someOf } from '../plan/some-of';
import { type DrPlan, type PlannedVm } from '../plan/schema';
import { type LeavingOut } from './leaving-out';
import { type Decisions } from './run/decisions';

/** When a VM may boot all of whose dependencies serve: when people have approved what the plan wants approved, and nobody holds the run. */
export class Turns {
  private readonly tiers: string[][];
  private readonly tierOf: ReadonlyMap<string, number>;
  private readonly gatedTiers: ReadonlySet<number>;

  constructor(
    plan: DrPlan,
    private readonly decisions: Decisions,
    private readonly leavingOut: LeavingOut,
  ) {
    this.tiers = startOrder(plan);
    this.tierOf = new Map(this.tiers.flatMap((tier, index) => tier.map((vm) => [vm, index + 1])));
    this.gatedTiers = new Set(plan.approval?.beforeTiers);
  }

  /** Whether the VM waits for people before it boots. */
  isHeld(vm: PlannedVm): boolean {
    return vm.approval === true || this.gatedTiers.has(this.tier(vm)) || this.decisions.isPaused;
  }

  /** @throws ApplicationFailure where it is pointless to wait, as the run is going to fail */
  async of(vm: PlannedVm): Promise<void> {
    const isOver = (): boolean => this.leavingOut.has(vm.name) || this.leavingOut.failedVms.length > 0;
    const tier = this.tier(vm);
    if (this.gatedTiers.has(tier)) {
      const earlier = this.tiers.slice(0, tier - 1).flat();
      await condition(() => earlier.every((name) => this.leavingOut.hasEnded(name)) || isOver());
      if (!isOver())
        await this.decisions.pass(
          { tier },
          `start tier ${tier}: ${someOf(this.tiers[tier - 1] ?? [])}`,
          isOver,
        );
    }
    if (!isOver())
      await this.decisions.pass(
        vm.approval === true ? { vm: vm.name } : undefined,
        `start ${vm.name}`,
        isOver,
      );
    const { failedVms } = this.leavingOut;
    if (failedVms.length > 0 && !this.leavingOut.has(vm.name))
      throw ApplicationFailure.nonRetryable(`not started, as ${failedVms.join(', ')} failed`, 'VmsFailed');
  }

  private tier({ name }: PlannedVm): number {
    return this.tierOf.get(name) ?? 1;
  }
}
