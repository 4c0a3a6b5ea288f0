import { join } from 'node:path';
import { type E2eSandbox } from '../support/e2e-sandbox';
import { type Account, type Resource } from './account';
import {
  type DiskKey,
  disksOf,
  type ExpectedDisks,
  type Moment,
  sameBytes,
  scribble,
  writeInto,
} from './disks';
import { type Violation } from './invariants';
import { type Journey } from './journeys';
import { persistently } from './persistently';
import { type SeededRandom } from './random';

/** A plan's bytes, wherever they are by now, compared with what they have to be. */
export class Bytes {
  constructor(
    private readonly sandbox: E2eSandbox,
    private readonly account: Account,
    private readonly journey: Journey,
    private readonly disks: ExpectedDisks,
  ) {}

  /**
   * Of the newest DR copies.
   * @param damagedVm in whose place the other VMs may have the newer backup, which they could be restored from
   * @param points recovery points that they have to be of, by VM
   */
  async ofDrCopies(damagedVm?: string, points?: ReadonlyMap<string, string>): Promise<Violation[]> {
    const violations: Violation[] = [];
    for (const [vm, disk, { id }] of await this.resources('snapshot', ['dr-copy'], points)) {
      let different = await this.account.differences(id, this.disks.path(vm, disk, 'dr-copy'));
      if (different.length > 0 && damagedVm !== undefined && vm !== damagedVm)
        different = await this.account.differences(id, this.disks.path(vm, disk, 'backup'));
      if (different.length > 0)
        violations.push(corrupt(`${vm}/${disk}: blocks ${different.join(', ')} of ${id} differ`));
    }
    return violations;
  }

  /** Snapshots of the recovery points that a failover went to, of every disk: copied for it, or of a DR copy that a lock has kept. */
  async ofPointCopies(points: ReadonlyMap<string, string>): Promise<Violation[]> {
    const violations: Violation[] = [];
    for (const [vm, disk, { id }] of await this.resources('snapshot', ['point-copy', 'dr-copy'], points)) {
      const different = await this.account.differences(id, this.disks.path(vm, disk, 'older'));
      if (different.length > 0)
        violations.push(
          corrupt(`${vm}/${disk}: blocks ${different.join(', ')} of ${id}, an older point, differ`),
        );
    }
    return violations;
  }

  /** Data disks are as they were copied; the root has the recovery site's drivers. */
  async ofVolumes(moment: Moment): Promise<Violation[]> {
    const violations: Violation[] = [];
    for (const [vm, disk, volume] of await this.dataVolumes())
      if (!(await sameBytes(this.disks.path(vm, disk, moment), this.volumeFile(volume))))
        violations.push(corrupt(`${vm}/${disk}: the volume ${volume.id} differs from ${moment}`));
    return violations;
  }

  /** After a failback, data disks have what the instances wrote. */
  async ofHome(): Promise<Violation[]> {
    const violations: Violation[] = [];
    for (const { name, dataSectors } of this.journey.vms) {
      if (dataSectors === 0) continue;
      const image = this.sandbox.site.rawFile(name, 'data');
      if (!(await sameBytes(this.disks.path(name, 'data', 'recovery'), image)))
        violations.push(corrupt(`${name}/data at home differs from what the instance had`));
    }
    return violations;
  }

  /** After a failback that was taken back, VMs that had survived are what they were, and held by nobody. */
  async ofSurvivors(): Promise<Violation[]> {
    const violations: Violation[] = [];
    const { hypervisor } = this.sandbox.site;
    for (const { name, dataSectors } of this.journey.vms) {
      const { power, heldBy } = await hypervisor.describeVm(name);
      if (power !== 'off' || heldBy !== undefined)
        violations.push({
          kind: 'orphan',
          what: `${name} at home is ${power}, and held by ${heldBy ?? 'nobody'}`,
        });
      const before = this.disks.path(name, 'data', 'survived');
      if (dataSectors > 0 && !(await sameBytes(before, this.sandbox.site.rawFile(name, 'data'))))
        violations.push(corrupt(`${name}/data at home is not what it was before the failback`));
    }
    return violations;
  }

  async writeAtRecoverySite(random: SeededRandom): Promise<void> {
    for (const [vm, disk, volume] of await this.dataVolumes()) {
      const path = this.disks.path(vm, disk, 'recovery');
      await scribble(path, random, 2);
      await writeInto(path, this.volumeFile(volume));
    }
  }

  private async dataVolumes(): Promise<[vm: string, disk: DiskKey, resource: Resource][]> {
    return (await this.resources('volume', ['recovery'])).filter(([, disk]) => disk === 'data');
  }

  private volumeFile({ id }: Resource): string {
    return join(this.sandbox.paths.aws, 'storage', 'volumes', `${id}.raw`);
  }

  /**
   * The plan's newest resources of a kind, of those recovery points where they are named, by VM and disk. A list may lack what is new,
   * so it is asked for until it does not.
   */
  private resources(
    kind: Resource['kind'],
    roles: string[],
    points?: ReadonlyMap<string, string>,
  ): Promise<[vm: string, disk: DiskKey, resource: Resource][]> {
    return persistently(async () => {
      const mine = (await this.account.ofPlan(this.journey.plan))
        .filter((one) => one.kind === kind && roles.includes(one.tags['lifeboat:role'] ?? ''))
        .sort((a, b) => takenAt(b).localeCompare(takenAt(a)));
      return this.journey.vms.flatMap((vm) =>
        disksOf(vm).map((disk): [string, DiskKey, Resource] => {
          const { name } = vm;
          const point = points?.get(name);
          const found = mine.find(
            ({ tags }) =>
              tags['lifeboat:vm'] === name &&
              tags['lifeboat:disk'] === disk &&
              (point === undefined || tags['lifeboat:recovery-point'] === point),
          );
          if (found === undefined)
            throw new Error(
              `${name}/${disk} has no ${kind} (${roles.join(', ')}) of ${point ?? 'any point'}.`,
            );
          return [name, disk, found];
        }),
      );
    });
  }
}

const takenAt = ({ tags }: Resource): string => tags['lifeboat:taken-at'] ?? '';
const corrupt = (what: string): Violation => ({ kind: 'corrupt', what });
