import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type LifeboatRun } from '../../client/run';
import { type LifeboatClient } from '../../client/client';
import { type RunResults } from '../../client/run-types';
import { type BackupResult } from '../../activities/backup-proxy/contract';
import { type PointChoice } from '../../plan/lines';
import { type DrPlan } from '../../plan/schema';
import {
  LICENSED_BIOS_IMAGE_ID,
  PRODUCTION_SUBNET_ID,
  SECOND_ZONE_SUBNET_ID,
  SHOP_HOSTED_ZONE_ID,
} from '../../sandbox/aws/fixtures';
import { orderFence } from '../../repository/plans/fencing';
import { readReadiness } from '../../repository/plans/readiness-record';
import { plainPlan } from '../support/e2e-plan';
import { type E2eSandbox } from '../support/e2e-sandbox';
import { type Account } from './account';
import { awayCopyViolations } from './away-copies';
import { Bytes } from './bytes';
import { damageNewestBackup } from './damage';
import { askInPlan } from './decisions';
import { ExpectedDisks } from './disks';
import { type DnsKind, dnsKind, setsText } from './dns-kinds';
import { type Journey, type Loss, type Naming, type Step } from './journeys';
import { LaunchCopyWatch } from './launch-copy-watch';
import { LockWatch } from './lock-watch';
import {
  dnsViolations,
  drCopyViolations,
  orphanViolations,
  type Violation,
  type Whereabouts,
} from './invariants';
import { persistently } from './persistently';
import { type FencedState, PowerWatch } from './power-watch';
import { type SeededRandom } from './random';
import { HungError, type Outcome, runToItsEnd } from './runs';

/** How often an administrator would try again what failed; faults end, by then all have. */
const TRIES = 12;
/** Seconds in which a list that lacks what is new, or has what is gone, gets right by itself. */
const SETTLE_SECONDS = 15;
/** What no clear error has in it: words of a programming error. */
const UNCLEAR =
  /TypeError|ReferenceError|RangeError|is not a function|Cannot read propert|\[object Object\]|undefined/;
/** What no run fails with: a DR copy that cannot be locked, or deleted as it is, is worth more than none. */
const LOCKING = /LockSnapshot|LockedSnapshots|SnapshotLocked/;

type RunType = Parameters<typeof runToItsEnd>[1];

/** Takes one plan along its journey, and looks after each run whether all is as it must be. */
export class Traveller {
  readonly violations: Violation[] = [];
  runs = 0;
  private readonly disks: ExpectedDisks;
  private readonly bytes: Bytes;
  readonly launchCopies: LaunchCopyWatch;
  readonly locks: LockWatch;
  readonly power: PowerWatch;
  private readonly plan: DrPlan;
  private readonly dns: DnsKind;
  private whereabouts: Whereabouts = 'home';
  private hasDrCopy = false;
  /** Whether the VMs are at home still while the application is away. */
  private survived = false;
  /** Whether a failback has started the VMs at home, and nothing has undone it. */
  private cameHome = false;
  /** The VM whose newest backup the suite has damaged. */
  private damagedVm: string | undefined;
  private digest = '';
  /** What an undo of the failback has to say. */
  private homeSince = '';
  /** The last backup and the one before, of each VM. */
  private backups: BackupResult[][] = [];
  /** Failovers and test failovers to an older recovery point that were done. */
  olderPoints = 0;
  private wentToOlder = false;

  constructor(
    private readonly sandbox: E2eSandbox,
    private readonly account: Account,
    readonly journey: Journey,
    private readonly random: SeededRandom,
    number: number,
    private readonly log: (line: string) => void,
  ) {
    const { plan, vms } = journey;
    this.disks = new ExpectedDisks(join(sandbox.config.directory, 'expected', plan), journey);
    this.bytes = new Bytes(sandbox, account, journey, this.disks);
    this.dns = dnsKind(plan, number, `192.168.10.${10 + (number % 200)}`);
    this.plan = plainPlan(
      plan,
      vms.map(({ name }) => name),
      {
        dns: {
          hostedZone: SHOP_HOSTED_ZONE_ID,
          records: [
            { name: this.dns.name, vm: vms[0]!.name, address: 'private', ttl: 60, ...this.dns.record },
          ],
        },
      },
    );
    for (const [n, vm] of this.plan.vms.entries()) {
      vm.dependsOn = vms[n]?.dependsOn ?? [];
      vm.instanceTypes = ['m6i.large', 'm5.large', 'm5.xlarge'];
      vm.readiness = { tcp: 80, timeout: 8 };
      if (journey.licensed === true) vm.licensedImage = LICENSED_BIOS_IMAGE_ID;
      // So that a guest has to be told the addresses of those that it depends on.
      if (journey.launchCopy === true) vm.hostNames = [`${vm.name}.shop.example`];
    }
    if (journey.launchCopy === true) {
      this.plan.replication.launchCopy = true;
      const { production } = this.plan.recoverySite;
      this.plan.recoverySite.production = {
        ...production,
        subnet: undefined,
        subnets: [PRODUCTION_SUBNET_ID, SECOND_ZONE_SUBNET_ID],
      };
    }
    if (journey.lock !== undefined) this.plan.replication.lock = journey.lock;
    askInPlan(this.plan, journey);
    if (journey.unfenced === true) this.plan.primarySite = { ...this.plan.primarySite, fence: 'none' };
    this.power = new PowerWatch(sandbox, journey, () => this.state(), log);
    const hostNames = new Map(
      this.plan.vms.flatMap((vm) => vm.hostNames.map((name): [string, string] => [vm.name, name])),
    );
    this.launchCopies = new LaunchCopyWatch(sandbox, account, journey, this.disks, hostNames, log);
    this.locks = new LockWatch(sandbox, account, journey, this.disks, log);
  }

  /** Makes the VMs, one traveller after another: VMs are imported by way of one directory. */
  async setOut(): Promise<void> {
    await this.disks.make(this.sandbox.site, this.random.fork());
    await this.power.makeBystander();
  }

  /** All that it has in the data centre, or may have. */
  get vmsAtHome(): { name: string }[] {
    const { bystander } = this.power;
    return [...this.journey.vms, ...(bystander === undefined ? [] : [{ name: bystander }])];
  }

  /** The whole way. What goes wrong ends in {@link violations}. */
  async travel(): Promise<void> {
    try {
      await this.account.setRecords(this.dns.home);
      ({ digest: this.digest } = await persistently(() => this.sandbox.publish(this.plan)));
      for (const one of this.journey.steps) {
        await this.take(one);
        if (this.violations.length > 0) return;
      }
    } catch (error) {
      this.violations.push({
        kind: 'lost',
        what: error instanceof Error ? (error.stack ?? '') : String(error),
      });
    }
  }

  /** What holds when nothing is under way, and all that dies is up again. */
  async arrive(): Promise<void> {
    // Without a backup of what came home, no restore is wanted.
    const restorable = this.damagedVm === undefined && !this.wentToOlder;
    const wants = this.journey.launchCopy === true || this.journey.lock !== undefined;
    if (wants && this.hasDrCopy && restorable) await this.restoreInQuiet();
    await this.look('at the end');
    if (this.journey.lock !== undefined && this.violations.length === 0) await this.endLocks();
    await this.requireOn();
    await this.disks.forget();
  }

  /** What is locked outlives a sweep, and goes with the next one when its lock has ended. */
  private async endLocks(): Promise<void> {
    this.violations.push(...(await this.locks.sweep()));
    await this.look('after a sweep');
    this.violations.push(...(await this.locks.ofKept()));
    if (this.violations.length > 0) return;
    await this.locks.end();
    this.violations.push(...(await this.locks.sweep()));
    await this.look('after the end of its locks and a sweep');
  }

  /** Makes room for others. */
  async leave(): Promise<void> {
    // What keeps its VMs off at home would look at them for as long as the suite goes on.
    if (this.journey.unfenced !== true && (await persistently(() => this.phase())) === 'failed-over')
      await persistently(() => orderFence(this.sandbox.store, this.plan.name, 'stopped'));
    await this.account.removeAll(this.plan.name);
    const present = await this.sandbox.site.hypervisor.listVms();
    for (const { name } of this.vmsAtHome)
      if (present.includes(name)) await this.sandbox.site.hypervisor.deleteVm(name);
  }

  private async take({
    step,
    cancelAfterMs,
    lose,
    older,
    vms = [],
  }: Journey['steps'][number]): Promise<void> {
    switch (step) {
      case 'change the disks':
        return persistently(() => this.disks.change(this.sandbox.site.hypervisor, this.random.fork()));
      case 'damage the backup':
        this.damagedVm = this.random.pick(this.journey.vms).name;
        this.log(await damageNewestBackup(this.sandbox.store, this.damagedVm, this.random.fork()));
        return;
      case 'restore in vain':
        return this.restoreInVain();
      case 'lose the data centre':
        this.survived = false;
        this.power.lost();
        for (const { name } of this.journey.vms)
          await persistently(() => this.sandbox.site.hypervisor.deleteVm(name));
        return;
      case 'lose power in the data centre':
        this.survived = true;
        return persistently(() =>
          this.disks.changeSurvivors(this.sandbox.site.hypervisor, this.random.fork()),
        );
      case 'power returns':
        this.violations.push(...(await this.power.powerReturns(vms)));
        return;
      case 'write at the recovery site':
        return this.bytes.writeAtRecoverySite(this.random.fork());
      case 'protect away':
        return this.protectAway(cancelAfterMs);
      case 'backup':
        return this.backUp(cancelAfterMs);
      case 'restore':
        return this.restore(cancelAfterMs, false);
      case 'check':
        return this.check();
      case 'test failover':
      case 'failover':
        return older === undefined
          ? this.failOver(step, cancelAfterMs, lose)
          : this.failOverToOlder(step, cancelAfterMs, older);
      case 'failback':
        await this.power.stopForFailback();
        await this.run(step, { type: 'failback' }, cancelAfterMs);
        this.violations.push(...(await this.bytes.ofHome()), ...(await this.launchCopies.ofHome()));
        return this.requireOn();
      case 'undo the failback':
        // The data centre is lost at the same time: nothing there is asked, or shuts down.
        await this.run(step, { type: 'undo' }, cancelAfterMs);
        return;
      case 'commit':
        await this.run(step, { type: 'commit' }, undefined);
    }
  }

  /** The fence lets be what a failback has started. */
  private async requireOn(): Promise<void> {
    if (!this.cameHome) return;
    for (const { name } of this.journey.vms) {
      const { power } = await persistently(() => this.sandbox.site.hypervisor.describeVm(name));
      if (power !== 'running')
        this.violations.push({
          kind: 'lost',
          what: `${name} is off at home after its failback, which nobody has undone`,
        });
    }
  }

  private async backUp(cancelAfterMs: number | undefined): Promise<void> {
    const done = await this.run('backup', { type: 'backup' }, cancelAfterMs);
    if (this.backups.length > 0) await this.disks.note('backup', 'older');
    await this.disks.note('now', 'backup');
    if (done?.ended !== 'completed') return;
    await this.locks.backedUp((done.result as RunResults['backup']).vms);
    this.backups = [(done.result as RunResults['backup']).vms, ...this.backups].slice(0, 2);
  }

  private async restore(cancelAfterMs: number | undefined, quiet: boolean): Promise<void> {
    const done = await this.run('restore', { type: 'restore' }, cancelAfterMs);
    await this.disks.note('backup', 'dr-copy');
    this.hasDrCopy = true;
    const summary = done?.ended === 'completed' ? (done.result as RunResults['restore']) : undefined;
    const points = new Map(summary?.vms.map(({ vm, recoveryPoint }) => [vm, recoveryPoint]));
    this.violations.push(...(await this.bytes.ofDrCopies(undefined, points)));
    if (summary === undefined) return;
    this.violations.push(
      ...(await this.locks.restored(summary, quiet)),
      ...(await this.locks.ofKept()),
      ...(await this.launchCopies.restored(summary, quiet)),
      ...(await this.launchCopies.ofLaunchCopies()),
    );
  }

  /** Whatever a check finds while things die, it comes to its end, and is kept. */
  private async check(): Promise<void> {
    const done = await this.run('check', { type: 'check' }, undefined);
    if (done?.ended !== 'completed') return;
    const record = await persistently(() => readReadiness(this.sandbox.store, this.plan.name));
    if (record?.check?.runId !== done.runId)
      this.violations.push({
        kind: 'lost',
        what: `the check ${done.runId} of ${this.plan.name} is not kept`,
      });
  }

  /** With nothing in its way, a restore makes what there is to make. */
  private async restoreInQuiet(): Promise<void> {
    if (this.whereabouts !== 'home' || (await persistently(() => this.phase())) !== 'protected') return;
    await this.restore(undefined, true);
  }

  private async failOver(
    step: 'failover' | 'test failover',
    cancelAfterMs: number | undefined,
    lose: Loss | undefined,
  ): Promise<void> {
    const expected = await this.launchCopies.expected(lose);
    const losing =
      lose === undefined || lose.afterMs === 0
        ? undefined
        : sleep(lose.afterMs).then(() => this.launchCopies.lose(lose));
    losing?.catch(() => undefined);
    const mode = step === 'failover' ? 'disaster' : 'test';
    const done = await this.run(step, { type: 'failover', mode }, cancelAfterMs);
    await losing;
    const summary = done?.ended === 'completed' ? (done.result as RunResults['failover']) : undefined;
    if (summary !== undefined) this.violations.push(...this.launchCopies.launched(summary, expected));
    if (mode === 'test') return;
    await this.disks.note('dr-copy', 'recovery');
    this.violations.push(...(await this.bytes.ofVolumes('dr-copy')));
    if (summary !== undefined && done?.ended === 'completed')
      this.violations.push(...(await this.launchCopies.ofInstances(summary, done.runId)));
  }

  /** To the backup before the newest: the DR copies, which hold the newest, stay what they are. */
  private async failOverToOlder(
    step: 'failover' | 'test failover',
    cancelAfterMs: number | undefined,
    naming: Naming,
  ): Promise<void> {
    const [, older = []] = this.backups;
    const instants = older.map(({ takenAt }) => takenAt).sort();
    const choice = naming === 'at' ? { at: instants.at(-1) } : { point: older[0]?.backupId };
    const mode = step === 'failover' ? 'disaster' : 'test';
    const done = await this.run(step, { type: 'failover', mode }, cancelAfterMs, choice);
    const summary = done?.ended === 'completed' ? (done.result as RunResults['failover']) : undefined;
    for (const { vm, recoveryPoint, launchedBy } of summary?.vms ?? [])
      if (!older.some((one) => one.vm === vm && one.backupId === recoveryPoint))
        this.violations.push({
          kind: 'corrupt',
          what: `${vm} booted ${recoveryPoint}, not the point that was asked for`,
        });
      else if (launchedBy === 'launch copy')
        this.violations.push({ kind: 'corrupt', what: `${vm} booted the launch copy of another point` });
    if (summary !== undefined) this.olderPoints++;
    this.violations.push(...(await this.bytes.ofDrCopies()));
    if (mode === 'test' || this.violations.length > 0) return;
    this.wentToOlder = true;
    await this.disks.note('older', 'recovery');
    const points = new Map(older.map(({ vm, backupId }) => [vm, backupId]));
    this.violations.push(
      ...(await this.bytes.ofPointCopies(points)),
      ...(await this.bytes.ofVolumes('older')),
    );
    if (summary !== undefined && done?.ended === 'completed')
      this.violations.push(...(await this.launchCopies.ofInstances(summary, done.runId)));
  }

  private async protectAway(cancelAfterMs: number | undefined): Promise<void> {
    const done = await this.run('protect away', { type: 'replication' }, cancelAfterMs);
    if (done?.ended !== 'completed') return;
    // What is new may be missing from a list for a moment.
    const deadline = Date.now() + SETTLE_SECONDS * 1000;
    for (;;) {
      const resources = await this.account.ofPlan(this.plan.name);
      const found = await awayCopyViolations(this.journey, resources, this.account, this.disks);
      if (found.length === 0) return;
      if (Date.now() > deadline) return void this.violations.push(...found);
      await sleep(500);
    }
  }

  /** A restore from a damaged backup fails, and the DR copy stays what it was; VMs beside it may get their new one. */
  private async restoreInVain(): Promise<void> {
    const argument = { plan: this.plan.name, digest: this.digest };
    const outcome = await this.outcome({ type: 'restore' }, (client) => client.restore(argument), undefined);
    this.runs++;
    this.log(`${this.plan.name}: restore in vain ${outcome.ended}`);
    await this.follow('restore', outcome);
    if (outcome.ended === 'completed')
      this.violations.push({ kind: 'corrupt', what: `a restore of ${this.damagedVm} used a damaged backup` });
    else this.requireClear('restore', outcome);
    await this.look('after a restore in vain');
    this.violations.push(...(await this.bytes.ofDrCopies(this.damagedVm)), ...(await this.locks.ofKept()));
  }

  private requireClear(step: Step, outcome: Outcome): void {
    if (outcome.ended === 'failed' && UNCLEAR.test(outcome.why))
      this.violations.push({
        kind: 'lost',
        what: `${step} of ${this.plan.name} fails without a clear error: ${outcome.why}`,
      });
    if (outcome.ended === 'failed' && LOCKING.test(outcome.why))
      this.violations.push({
        kind: 'lost',
        what: `${step} of ${this.plan.name} fails because of a lock: ${outcome.why}`,
      });
  }

  /**
   * Tries until it completes, as an administrator would who reads what went wrong.
   * @returns how the run ended that did it; undefined where something is broken
   */
  private async run(
    step: Step,
    which: Omit<RunType, 'plan'>,
    cancelAfterMs: number | undefined,
    choice: PointChoice = {},
  ): Promise<Outcome | undefined> {
    const plan = this.plan.name;
    const argument = { plan, digest: this.digest };
    const onFailure = this.random.pick(['wait', 'undo'] as const);
    const start = (client: LifeboatClient): Promise<LifeboatRun> => {
      if (which.type === 'failover')
        return client.failover({ ...argument, mode: which.mode ?? 'test', onFailure, ...choice });
      if (which.type === 'failback') return client.failback({ ...argument, onFailure });
      if (which.type === 'undo')
        return client.undo({ ...argument, discardWritesSince: this.homeSince, homeLost: true });
      if (which.type === 'replication') return client.replicate(argument);
      return client[which.type](argument) as Promise<LifeboatRun>;
    };
    const whys: string[] = [];
    for (let attempt = 0; attempt < TRIES; attempt++) {
      if (which.type === 'undo') this.homeSince = (await persistently(() => this.state())).homeSince ?? '';
      const cancel = attempt === 0 ? cancelAfterMs : undefined;
      const began = Date.now();
      const outcome = await this.outcome(which, start, cancel);
      if (which.type === 'restore' && outcome.ended === 'completed')
        this.locks.replaced(outcome.result as RunResults['restore'], began);
      this.runs++;
      this.log(`${plan}: ${step} ${outcome.ended}${outcome.ended === 'completed' ? '' : `: ${outcome.why}`}`);
      const done = await this.follow(step, outcome);
      await this.look(`after ${step}, which ${outcome.ended}`);
      if (this.violations.length > 0) return undefined;
      if (done) return outcome;
      if (outcome.ended !== 'completed') {
        this.requireClear(step, outcome);
        whys.push(outcome.why);
      }
      await sleep(1000);
    }
    this.violations.push({
      kind: 'lost',
      what: `${step} of ${plan} fails again and again: ${whys.join(' | ')}`,
    });
    return undefined;
  }

  private async outcome(
    which: Omit<RunType, 'plan'>,
    start: Parameters<typeof runToItsEnd>[2],
    cancel: number | undefined,
  ): Promise<Outcome> {
    try {
      return await runToItsEnd(this.sandbox.client, { ...which, plan: this.plan.name }, start, cancel);
    } catch (error) {
      if (error instanceof HungError) this.violations.push({ kind: 'lost', what: error.message });
      throw error;
    }
  }

  /**
   * Where the application is after a run, by the one object that says so; a run that was cut off behind its point of no
   * return has done its work all the same. @returns whether the step is done
   */
  private async follow(step: Step, { ended }: Outcome): Promise<boolean> {
    const completed = ended === 'completed';
    if (step !== 'failover' && step !== 'failback' && step !== 'undo the failback' && step !== 'commit')
      return completed;
    const phase = await persistently(() => this.phase());
    const wanted = {
      ...{ failover: 'failed-over', failback: 'failed-back' },
      ...{ 'undo the failback': 'failed-over', commit: 'protected' },
    }[step];
    if (completed && phase !== wanted)
      this.violations.push({ kind: 'lost', what: `${step} says that it is done, and the plan is ${phase}` });
    if (phase === 'failed-over') this.whereabouts = 'away';
    else if (phase === 'failed-back') this.whereabouts = 'home again';
    else if (phase === 'protected') this.whereabouts = 'home';
    else this.violations.push({ kind: 'lost', what: `after ${step}, which ${ended}, the plan is ${phase}` });
    if (step === 'failback' && phase === 'failed-over' && this.survived)
      this.violations.push(...(await persistently(() => this.bytes.ofSurvivors())));
    this.cameHome = phase === 'failed-back' || (this.cameHome && phase === 'protected');
    if (step === 'failover' && !completed && phase === wanted) await this.power.startAgain(this.digest);
    return phase === wanted;
  }

  private async phase(): Promise<string> {
    return (await this.state()).phase ?? 'none';
  }

  private async state(): Promise<FencedState & { homeSince?: string }> {
    const object = await this.sandbox.store.get(`state/${this.plan.name}.json`);
    return JSON.parse(object?.body.toString() ?? '{}') as FencedState & { homeSince?: string };
  }

  /** Compares the account and DNS with what must be there; what is only late is waited for. */
  private async look(when: string): Promise<void> {
    const deadline = Date.now() + SETTLE_SECONDS * 1000;
    for (;;) {
      const found = await this.brokenNow();
      if (found.length > 0 && Date.now() < deadline) {
        await sleep(500);
        continue;
      }
      found.push(...(await this.power.violations(this.whereabouts === 'away')));
      this.violations.push(
        ...found.map(({ kind, what }) => ({ kind, what: `${this.plan.name} ${when}: ${what}` })),
      );
      return;
    }
  }

  private async brokenNow(): Promise<Violation[]> {
    const all = await this.account.ofPlan(this.plan.name);
    const { found, others: resources } = await this.locks.sortOut(all);
    const [first] = this.journey.vms;
    const away = resources.find(
      ({ kind, tags }) => kind === 'instance' && tags['lifeboat:vm'] === first?.name,
    );
    return [
      ...found,
      ...(this.hasDrCopy ? drCopyViolations(this.journey, resources) : []),
      ...orphanViolations(this.journey, resources, this.whereabouts),
      ...dnsViolations(
        setsText(await this.account.records(this.dns.name)),
        setsText(this.dns.home),
        away?.privateAddress === undefined ? undefined : setsText(this.dns.away(away.privateAddress)),
        this.whereabouts,
      ),
    ];
  }
}
