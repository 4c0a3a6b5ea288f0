import { type Clock, RateLimit } from '../../blocks/limits/rate-limit';
import { bytesPerSecondAt, type ReplicationLimit } from '../../plan/replication-limit';

/**
 * The bandwidth limits of this process, one a plan: all disks of the plan's VMs share it, whatever run they are copied by.
 * What a newer run brings counts for the older ones, too, and a copy that is under way follows the clock.
 */
export class PlanLimits {
  private readonly settings = new Map<string, ReplicationLimit | undefined>();
  private readonly limits = new Map<string, RateLimit>();

  /**
   * @param clock that copies wait by
   * @param wallClock that windows open and close by
   */
  constructor(
    private readonly clock?: Clock,
    private readonly wallClock: () => Date = () => new Date(),
  ) {}

  /** @returns undefined where the plan has no limit and had none before */
  of(plan: string, settings: ReplicationLimit | undefined): RateLimit | undefined {
    this.settings.set(plan, settings);
    const known = this.limits.get(plan);
    if (known !== undefined || settings === undefined) return known;
    const limit = new RateLimit(
      () => bytesPerSecondAt(this.settings.get(plan), this.wallClock()),
      this.clock,
    );
    this.limits.set(plan, limit);
    return limit;
  }
}
