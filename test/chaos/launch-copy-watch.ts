import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type FailoverSummary } from '../../workflows/failover';
import { type RestoreSummary } from '../../workflows/restore';
import { type E2eSandbox } from '../support/e2e-sandbox';
import { type Account, type Resource } from './account';
import { type ExpectedDisks, sizeOf } from './disks';
import { adaptationProblems, type Adapted, differingFiles, type NamedHost } from './guest-files';
import { isWhole, launchCopiesOf, type Violation } from './invariants';
import { type Journey, type Loss } from './journeys';

/** Which way a VM has to be launched; `either` where its launch copy is lost meanwhile. */
type Way = Adapted | 'either';

/** What the account's lists may lack, for a time, is what is newer than this; faults.ts has at most 2 s. */
const LISTED_AFTER_MS = 2500;
/** As guest/launch-data.ts has them, in plan order. */
const placeholder = (index: number): string => `198.18.0.${index + 1}`;

export interface LaunchCounts {
  launchCopiesMade: number;
  launchedByCopy: number;
  launchedByVolumes: number;
  launchedFromLicensed: number;
}

const COUNTED = {
  'launch copy': 'launchedByCopy',
  volumes: 'launchedByVolumes',
  'licensed image': 'launchedFromLicensed',
} as const satisfies Record<FailoverSummary['vms'][number]['launchedBy'], keyof LaunchCounts>;

/** Looks after the launch copies of one plan: that they are made, hold what they must, and are what failovers launch by. */
export class LaunchCopyWatch {
  readonly counts: LaunchCounts = {
    ...{ launchCopiesMade: 0, launchedByCopy: 0, launchedByVolumes: 0 },
    launchedFromLicensed: 0,
  };
  private restoredAt = 0;

  constructor(
    private readonly sandbox: E2eSandbox,
    private readonly account: Account,
    private readonly journey: Journey,
    private readonly disks: ExpectedDisks,
    private readonly hostNames: ReadonlyMap<string, string>,
    private readonly log: (line: string) => void,
  ) {}

  /**
   * What a restore says of them.
   * @param quiet that nothing fails: then every guest that can have one has one
   */
  async restored({ vms }: RestoreSummary, quiet: boolean): Promise<Violation[]> {
    this.restoredAt = Date.now();
    const wanted = this.journey.launchCopy === true;
    const resources = await this.account.ofPlan(this.journey.plan);
    const violations: Violation[] = [];
    for (const { vm, launchCopy } of vms) {
      const outcome = launchCopy?.outcome;
      const told = outcome === 'not made' ? `not made: ${launchCopy?.reason}` : outcome;
      if (wanted) this.log(`${vm}: launch copy ${told}`);
      if (outcome === 'made') this.counts.launchCopiesMade++;
      if ((launchCopy !== undefined) !== wanted)
        violations.push(lost(`the restore says of the launch copy of ${vm}: ${told}`));
      else if (outcome === 'not made') {
        const { guest } = this.vm(vm);
        if (!launchCopy?.reason) violations.push(lost(`${vm} has no launch copy, and nobody says why`));
        else if (quiet) violations.push(lost(`${vm} (${guest}): launch copy ${told}`));
      } else if (wanted && quiet && launchCopiesOf(vm, resources).filter(isWhole).length !== 1)
        violations.push(lost(`${vm}: the launch copy is ${told}, and there is none, or more than one`));
    }
    return violations;
  }

  /** What is in the launch copies that are there: the DR copy's boot disk, adapted, with placeholders. */
  async ofLaunchCopies(): Promise<Violation[]> {
    if (this.journey.launchCopy !== true) return [];
    const resources = await this.account.ofPlan(this.journey.plan);
    const violations: Violation[] = [];
    for (const { name } of this.journey.vms) {
      const [copy] = launchCopiesOf(name, resources).filter(isWhole);
      if (copy === undefined) continue;
      const id = bootSnapshot(copy);
      const plain = this.disks.path(name, 'system', 'dr-copy');
      const path = `${plain}.launch-copy`;
      try {
        if ((await this.account.differences(id, plain)).length === 0)
          violations.push(corrupt(`${name}: the launch copy ${id} is not adapted`));
        await this.account.download(id, path, await sizeOf(plain));
        for (const problem of await this.problems(name, path, 'launch copy', this.placeholders(name)))
          violations.push(corrupt(`${name}: in the launch copy ${id}, ${problem}`));
      } finally {
        await rm(path, { force: true });
      }
    }
    return violations;
  }

  /** Which way each VM has to be launched, by what is there now. */
  async expected(lose: Loss | undefined): Promise<Map<string, Way>> {
    if (this.journey.launchCopy === true)
      await sleep(Math.max(0, this.restoredAt + LISTED_AFTER_MS - Date.now()));
    if (lose?.afterMs === 0) await this.lose(lose);
    const resources = await this.account.ofPlan(this.journey.plan);
    return new Map(
      this.journey.vms.map(({ name }): [string, Way] => {
        const isThere = this.journey.launchCopy === true && launchCopiesOf(name, resources).some(isWhole);
        if (name === lose?.vm) return [name, lose.afterMs > 0 && isThere ? 'either' : 'volumes'];
        return [name, isThere ? 'launch copy' : 'volumes'];
      }),
    );
  }

  /** Somebody deletes the snapshots, or they come to be of another plan. */
  async lose({ vm, kind }: Loss): Promise<void> {
    for (const copy of launchCopiesOf(vm, await this.account.ofPlan(this.journey.plan)))
      for (const { id } of copy) {
        if (kind === 'outdated') await this.account.tag(id, 'lifeboat:made-of', '0'.repeat(64));
        const gone = kind === 'deleted' && (await this.account.deleteWithImages(this.journey.plan, vm, id));
        this.log(
          `the launch copy ${id} of ${vm} is ${kind}${kind === 'deleted' && !gone ? ', but in use' : ''}`,
        );
      }
  }

  /** Which way each VM was launched. */
  launched({ vms }: FailoverSummary, expected: ReadonlyMap<string, Way>): Violation[] {
    return vms.flatMap(({ vm, launchedBy, warnings }): Violation[] => {
      const way = expected.get(vm);
      this.log(`${vm}: launched by ${launchedBy}, expected ${way}; ${warnings.join(' ')}`);
      this.counts[COUNTED[launchedBy]]++;
      // Which adaptation such a VM boots from, its disk tells.
      if (this.journey.licensed === true || launchedBy === 'licensed image')
        return this.journey.licensed === true && launchedBy === 'licensed image'
          ? []
          : [lost(`${vm} was launched by its ${launchedBy}`)];
      return way === launchedBy || way === 'either'
        ? []
        : [lost(`${vm} was launched by its ${launchedBy}, not by its ${way}: ${warnings.join(' ')}`)];
    });
  }

  /** What the instances of a failover have on their boot disks, and can read about themselves. */
  async ofInstances({ vms }: FailoverSummary, runId: string): Promise<Violation[]> {
    const resources = await this.account.ofPlan(this.journey.plan);
    const addresses = new Map(vms.map(({ vm, privateAddress }) => [vm, privateAddress]));
    const violations: Violation[] = [];
    for (const { vm, launchedBy, instanceId } of vms) {
      const root = resources.find(
        ({ kind, tags, attachedTo }) =>
          kind === 'volume' && attachedTo === instanceId && tags['lifeboat:disk'] === 'system',
      );
      if (root === undefined) {
        violations.push(lost(`${vm}: ${instanceId} has no volume of its system disk`));
        continue;
      }
      const path = join(this.sandbox.paths.aws, 'storage', 'volumes', `${root.id}.raw`);
      const real = this.named(vm).map((name) => addresses.get(name) ?? 'nowhere');
      // A guest that was adapted beforehand has user data to read.
      const told = await this.account.userData(instanceId);
      const byCopy = launchedBy === 'launch copy' || (launchedBy === 'licensed image' && told !== '');
      const hosts = byCopy
        ? this.placeholders(vm)
        : this.placeholders(vm).map(({ name }, index) => ({ name, address: real[index] ?? '' }));
      for (const problem of await this.problems(vm, path, byCopy ? 'launch copy' : 'volumes', hosts))
        violations.push(corrupt(`${vm}: on the root ${root.id}, ${problem}`));
      const [copy] = launchCopiesOf(vm, resources).filter(isWhole);
      if (!byCopy) continue;
      if (copy !== undefined && (await this.account.differences(bootSnapshot(copy), path)).length > 0)
        violations.push(corrupt(`${vm}: the root ${root.id} differs from the launch copy`));
      const wanted = [
        'lifeboat-launch 1',
        `run ${runId}`,
        ...real.map((address, index) => `address ${placeholder(index)} ${address}`),
      ];
      if (told !== `${wanted.join('\n')}\n`)
        violations.push(corrupt(`${vm}: the instance is told ${JSON.stringify(told)}`));
    }
    return violations;
  }

  /** The files of a guest that has come home are those that it went with. */
  async ofHome(): Promise<Violation[]> {
    const violations: Violation[] = [];
    for (const { name, guest } of this.journey.vms) {
      if (guest !== 'debian') continue;
      const home = this.sandbox.site.rawFile(name, 'system');
      const different = await differingFiles(home, this.disks.path(name, 'system', 'dr-copy'));
      if (different.length > 0)
        violations.push(corrupt(`${name}: at home there differ ${different.slice(0, 10).join(', ')}`));
    }
    return violations;
  }

  private async problems(vm: string, path: string, adapted: Adapted, hosts: NamedHost[]): Promise<string[]> {
    // The others' file systems are none that this host's tools list.
    return this.vm(vm).guest === 'debian' ? adaptationProblems(path, adapted, hosts) : [];
  }

  /** VMs whose names a VM finds: those that it depends on; with two VMs, there is no chain of them. */
  private named(vm: string): string[] {
    return this.vm(vm).dependsOn.filter((name) => this.hostNames.has(name));
  }

  private placeholders(vm: string): NamedHost[] {
    return this.named(vm).map((needed, index) => ({
      address: placeholder(index),
      name: this.hostNames.get(needed) ?? '',
    }));
  }

  private vm(name: string): Journey['vms'][number] {
    const found = this.journey.vms.find((one) => one.name === name);
    if (found === undefined) throw new Error(`${name} is no VM of ${this.journey.plan}.`);
    return found;
  }
}

const bootSnapshot = (copy: Resource[]): string =>
  copy.find(({ tags }) => tags['lifeboat:boot'] === 'true')?.id ?? '';

const lost = (what: string): Violation => ({ kind: 'lost', what });
const corrupt = (what: string): Violation => ({ kind: 'corrupt', what });
