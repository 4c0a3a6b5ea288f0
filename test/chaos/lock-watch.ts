import { setTimeout as sleep } from 'node:timers/promises';
import { type RunResults } from '../../client/run-types';
import { planSweep, sweep } from '../../client/sweep';
import { type E2eSandbox } from '../support/e2e-sandbox';
import { type Account, type Resource } from './account';
import { type DiskKey, disksOf, type ExpectedDisks } from './disks';
import { type Violation } from './invariants';
import { ANY_AGE } from '../support/any-age';
import { type Journey } from './journeys';
import { brokenLocks, inUse, keptByLocks } from './kept-copies';
import { LOCK_DAY } from './locks';
import { persistently } from './persistently';
import { type ToldLock } from './snapshot-locks';

export interface LockCounts {
  locksMade: number;
  /** Restores of a VM that say that its DR copy could not be locked. */
  locksRefused: number;
  /** Times that the bytes of a replaced DR copy that its lock kept were compared. */
  lockedOlder: number;
}

/** Seconds in which a list that lacks what is new gets right by itself. */
const SETTLE_SECONDS = 15;
/** Longer than the longest lock of compliance, which has to be waited for. */
const ENDING_SECONDS = 120;

/** Looks after the locks of one plan: that they are made, hold, keep what they are on, and no longer than they last. */
export class LockWatch {
  readonly counts: LockCounts = { locksMade: 0, locksRefused: 0, lockedOlder: 0 };
  /** Locks as they were when all was last found to be right. */
  private known = new Map<string, ToldLock>();
  /** Since when what was locked is not listed: it is looked for again, and its lock may end meanwhile. */
  private readonly missing = new Map<string, number>();
  /** When what deletes replaced DR copies last began, by VM: what was not locked any more by then has to be gone. */
  private readonly cleaned = new Map<string, number>();

  constructor(
    private readonly sandbox: E2eSandbox,
    private readonly account: Account,
    private readonly journey: Journey,
    private readonly disks: ExpectedDisks,
    private readonly log: (line: string) => void,
  ) {}

  private get wanted(): boolean {
    return this.journey.lock !== undefined;
  }

  /** Notes what the backups of a run that has completed hold. */
  async backedUp(vms: RunResults['backup']['vms']): Promise<void> {
    if (this.wanted) for (const { vm, backupId } of vms) await this.disks.notePoint(vm, backupId);
  }

  /** A restore that has completed, and began at `began`, has deleted what it replaced, unless there was nothing new. */
  replaced({ vms }: RunResults['restore'], began: number): void {
    for (const { vm, kind } of vms) if (kind !== 'up-to-date') this.cleaned.set(vm, began);
  }

  /** @returns what is broken of locks, and the resources without what nothing but a lock, or its time, keeps */
  async sortOut(resources: Resource[]): Promise<{ found: Violation[]; others: Resource[] }> {
    if (!this.wanted) return { found: [], others: resources };
    const listedAt = Date.now();
    for (const id of this.known.keys())
      if (resources.some((one) => one.id === id)) this.missing.delete(id);
      else this.missing.set(id, this.missing.get(id) ?? listedAt);
    const locks = await persistently(() => this.account.locks());
    const found = brokenLocks(this.known, resources, locks, this.missing);
    const kept = this.kept(resources, locks);
    if (found.length === 0)
      this.known = new Map([...locks].filter(([id]) => resources.some((one) => one.id === id)));
    return { found, others: resources.filter((one) => !kept.includes(one)) };
  }

  private kept(resources: Resource[], locks: ReadonlyMap<string, ToldLock>): Resource[] {
    return keptByLocks(this.journey, resources, locks, (vm) => this.cleaned.get(vm) ?? 0);
  }

  /**
   * What a restore says of locks, and whether it is so.
   * @param quiet that nothing fails: then every VM has a DR copy that is locked
   */
  async restored({ vms }: RunResults['restore'], quiet: boolean): Promise<Violation[]> {
    const violations: Violation[] = [];
    for (const { vm, recoveryPoint, lock } of vms) {
      const told = lock?.outcome === 'not locked' ? `not locked: ${lock.reason}` : lock?.outcome;
      if ((lock !== undefined) !== this.wanted)
        violations.push(lost(`the restore says of the lock of ${vm}: ${told}`));
      if (lock === undefined) continue;
      const which = 'until' in lock ? `${lock.recoveryPoint}, until ${lock.until}` : recoveryPoint;
      this.log(`${vm}: ${told}: ${which}`);
      if (lock.outcome === 'not locked') {
        this.counts.locksRefused++;
        if (lock.reason === '') violations.push(lost(`${vm} is not locked, and nobody says why`));
        if (quiet) violations.push(lost(`${vm} is ${told}, with nothing in its way`));
        continue;
      }
      if (lock.outcome === 'locked') this.counts.locksMade++;
      if (lock.outcome === 'locked' && lock.recoveryPoint !== recoveryPoint)
        violations.push(lost(`${vm} is restored to ${recoveryPoint}, and ${lock.recoveryPoint} was locked`));
      violations.push(...(await this.lockedAsTold(vm, lock)));
    }
    return violations;
  }

  /** Each disk's snapshot of that recovery point has a lock, for no less than it was said; one that has ended is told as well. */
  private async lockedAsTold(
    vm: string,
    { recoveryPoint, until }: { recoveryPoint: string; until: string },
  ): Promise<Violation[]> {
    const disks = disksOf(this.journey.vms.find(({ name }) => name === vm) ?? { dataSectors: 0 });
    const deadline = Date.now() + SETTLE_SECONDS * 1000;
    for (;;) {
      const resources = await this.account.ofPlan(this.journey.plan);
      const locks = await persistently(() => this.account.locks());
      const without = disks.filter(
        (disk) =>
          !resources.some(
            ({ id, tags }) =>
              tags['lifeboat:role'] === 'dr-copy' &&
              tags['lifeboat:vm'] === vm &&
              tags['lifeboat:disk'] === disk &&
              tags['lifeboat:recovery-point'] === recoveryPoint &&
              (locks.get(id)?.until ?? 0) >= Date.parse(until),
          ),
      );
      if (without.length === 0) return [];
      if (Date.now() > deadline)
        return without.map((disk) =>
          lost(`${vm}/${disk} of ${recoveryPoint} is not locked until ${until}, as was said`),
        );
      await sleep(500);
    }
  }

  /** The bytes of replaced DR copies that locks keep are those of their recovery points. */
  async ofKept(): Promise<Violation[]> {
    if (!this.wanted) return [];
    const resources = await this.account.ofPlan(this.journey.plan);
    const violations: Violation[] = [];
    for (const { id, tags } of this.kept(resources, await persistently(() => this.account.locks()))) {
      const [vm = '', disk = ''] = [tags['lifeboat:vm'], tags['lifeboat:disk']];
      const point = tags['lifeboat:recovery-point'] ?? '';
      const path = this.disks.pointPath(vm, disk as DiskKey, point);
      if (path === undefined) {
        violations.push(
          corrupt(`${vm}/${disk}: ${id} is of ${point}, which no backup is known to have made`),
        );
        continue;
      }
      this.counts.lockedOlder++;
      const different = await this.account.differences(id, path);
      if (different.length > 0)
        violations.push(corrupt(`${vm}/${disk}: blocks ${different.join(', ')} of ${id}, locked, differ`));
    }
    return violations;
  }

  /** What nobody needs and no lock holds goes with a sweep; what the application runs on stays. */
  async sweep(): Promise<Violation[]> {
    const { ec2 } = this.sandbox.aws;
    const { plan } = this.journey;
    const before = await this.account.ofPlan(plan);
    const began = Date.now();
    const site = { ec2, store: this.sandbox.store, temporal: this.sandbox.client.temporal, pollSeconds: 0.2 };
    const gone = await sweep(await planSweep(plan, site, ANY_AGE), site);
    this.log(`${plan}: swept ${gone.join(', ') || 'nothing'}`);
    for (const { name } of this.journey.vms) this.cleaned.set(name, began);
    return before
      .filter(({ id, tags }) => gone.includes(id) && tags['lifeboat:role'] === 'dr-copy')
      .filter((one) => inUse(one, before))
      .map(({ id }) => lost(`the sweep has deleted ${id}, and the application runs on what was made of it`));
  }

  /** Ends every lock of the plan, or waits for its end. */
  async end(): Promise<void> {
    this.known.clear();
    const mine = async (): Promise<[string, ToldLock][]> => {
      const ids = new Set((await this.account.ofPlan(this.journey.plan)).map(({ id }) => id));
      const locks = await persistently(() => this.account.locks());
      return [...locks].filter(([id, { holds }]) => ids.has(id) && holds);
    };
    for (const [id, { mode, until }] of await mine())
      if (mode === 'governance' && until > Date.now() + LOCK_DAY * 1000) await this.account.shortenLock(id);
    const deadline = Date.now() + ENDING_SECONDS * 1000;
    while ((await mine()).length > 0) {
      if (Date.now() > deadline) throw new Error(`The locks of ${this.journey.plan} do not end.`);
      await sleep(500);
    }
  }
}

const lost = (what: string): Violation => ({ kind: 'lost', what });
const corrupt = (what: string): Violation => ({ kind: 'corrupt', what });
