import { type ListedVm } from '../../sandbox/datacenter/primary-site';
import { type Resource } from './account';
import { disksOf } from './disks';
import { type Journey } from './journeys';

/** Where a plan's application is, by what the suite has seen its runs complete. */
export type Whereabouts = 'home' | 'away' | 'home again';

/** What was found broken, by what it would mean to the company. */
export interface Violation {
  kind: 'lost' | 'orphan' | 'corrupt' | 'unfenced';
  what: string;
}

/** Of each disk exactly one complete DR copy; a set with a disk too few is none. */
export function drCopyViolations(journey: Journey, resources: Resource[]): Violation[] {
  const copies = resources.filter(
    ({ kind, tags }) => kind === 'snapshot' && tags['lifeboat:role'] === 'dr-copy',
  );
  return journey.vms.flatMap((vm) =>
    disksOf(vm).flatMap((disk): Violation[] => {
      const { name } = vm;
      const mine = copies.filter(
        ({ tags }) => tags['lifeboat:vm'] === name && tags['lifeboat:disk'] === disk,
      );
      const completed = mine.filter(({ state }) => state === 'completed');
      if (completed.length === 0) return [{ kind: 'lost', what: `${name}/${disk} has no complete DR copy` }];
      if (mine.length > 1)
        return [{ kind: 'orphan', what: `${name}/${disk} has ${mine.length} DR copies: ${idsOf(mine)}` }];
      return [];
    }),
  );
}

/** Launch copies of a VM's present DR copy: the snapshots that one try published. */
export function launchCopiesOf(vm: string, resources: Resource[]): Resource[][] {
  const mine = resources.filter(({ kind, tags }) => kind === 'snapshot' && tags['lifeboat:vm'] === vm);
  const copies = mine.filter(
    ({ state, tags }) => tags['lifeboat:role'] === 'dr-copy' && state === 'completed',
  );
  // Those that locks keep have no launch copy any more.
  const newest = copies
    .map(({ tags }) => tags['lifeboat:taken-at'] ?? '')
    .sort()
    .at(-1);
  const present = new Set(
    copies
      .filter(({ tags }) => (tags['lifeboat:taken-at'] ?? '') === newest)
      .map(({ tags }) => tags['lifeboat:recovery-point']),
  );
  const published = mine.filter(
    ({ tags }) =>
      tags['lifeboat:role'] === 'launch-copy' && present.has(tags['lifeboat:recovery-point'] ?? 'none'),
  );
  const tryOf = ({ tags }: Resource): string => `${tags['lifeboat:run']} ${tags['lifeboat:attempt']}`;
  return [...Map.groupBy(published, tryOf).values()];
}

/** Whether a launch could be by it, as far as states tell. */
export const isWhole = (snapshots: Resource[]): boolean =>
  snapshots.every(
    ({ state, tags }) => state === 'completed' && tags['lifeboat:disk-count'] === String(snapshots.length),
  ) && snapshots.some(({ tags }) => tags['lifeboat:boot'] === 'true');

/**
 * What is there for the plan besides its DR copies, at most one launch copy of each where it wants them, and, while it runs at
 * the recovery site, its instances and their copies, and the older recovery points that they were made from.
 */
export function orphanViolations(
  journey: Journey,
  resources: Resource[],
  whereabouts: Whereabouts,
): Violation[] {
  const vms = journey.vms.length;
  const serving = whereabouts === 'home' ? 0 : vms;
  const olderPoints = journey.steps.some(({ step, older }) => step === 'failover' && older !== undefined);
  const launchCopies =
    journey.launchCopy === true ? journey.vms.map(({ name }) => launchCopiesOf(name, resources)) : [];
  const launchable = new Set(launchCopies.flat(2));
  const left = resources.filter(
    (one) =>
      !(one.kind === 'snapshot' && one.tags['lifeboat:role'] === 'dr-copy') &&
      !launchable.has(one) &&
      // What protects it while it is away, and until its failback is committed.
      !(serving > 0 && one.kind === 'snapshot' && one.tags['lifeboat:role'] === 'away-copy') &&
      !(
        olderPoints &&
        serving > 0 &&
        one.kind === 'snapshot' &&
        one.tags['lifeboat:role'] === 'point-copy'
      ) &&
      !(
        (one.kind === 'instance' || one.kind === 'volume') &&
        serving > 0 &&
        one.tags['lifeboat:role'] === 'recovery'
      ),
  );
  const violations: Violation[] = left.map((one) => ({
    kind: 'orphan',
    what: `${one.kind} ${one.id} (${one.state}, ${one.tags['lifeboat:role']}) is needed by nobody`,
  }));
  for (const copies of launchCopies)
    if (copies.length > 1)
      violations.push({
        kind: 'orphan',
        what: `a VM has two launch copies: ${copies.map(idsOf).join('; ')}`,
      });
  const recovery = resources.filter(({ tags }) => tags['lifeboat:role'] === 'recovery');
  const instances = recovery.filter(({ kind }) => kind === 'instance');
  const volumes = recovery.filter(({ kind }) => kind === 'volume');
  if (serving > 0) {
    for (const { name } of journey.vms) {
      const mine = instances.filter(({ tags }) => tags['lifeboat:vm'] === name);
      if (mine.length === 0) violations.push({ kind: 'lost', what: `${name} has no instance` });
      if (mine.length > 1)
        violations.push({ kind: 'orphan', what: `${name} has ${mine.length} instances: ${idsOf(mine)}` });
    }
    const loose = volumes.filter(({ attachedTo }) => !instances.some(({ id }) => id === attachedTo));
    for (const { id } of loose)
      violations.push({ kind: 'orphan', what: `volume ${id} is attached to nothing` });
    const disks = journey.vms.flatMap(disksOf).length;
    if (volumes.length > disks)
      violations.push({ kind: 'orphan', what: `${volumes.length} volumes for ${disks} disks` });
  }
  return violations;
}

/** That the plan's name leads where the application runs. */
export function dnsViolations(
  found: string | undefined,
  home: string,
  away: string | undefined,
  whereabouts: Whereabouts,
): Violation[] {
  const expected = whereabouts === 'away' ? away : home;
  return found === expected
    ? []
    : [{ kind: 'lost', what: `DNS leads to ${found ?? 'nowhere'}, not to ${expected ?? 'any instance'}` }];
}

/** What belongs to no plan at all, and yet costs money. Shell images stay: one for all failovers. */
export function strayViolations(resources: Resource[], fixtures: readonly string[]): Violation[] {
  return resources
    .filter(({ id, tags }) => !fixtures.includes(id) && tags['lifeboat:plan'] === undefined)
    .filter(({ tags }) => tags['lifeboat:role'] !== 'shell')
    .map(({ kind, id, state }) => ({
      kind: 'orphan',
      what: `${kind} ${id} (${state}) carries no plan's tag`,
    }));
}

/** What the data centre holds besides the VMs: snapshots, deltas, files of nobody, disks left at the backup proxy. */
export function siteViolations(listed: ListedVm[], vms: { name: string }[]): Violation[] {
  const left = listed.flatMap(({ name, besides }) =>
    vms.some((vm) => vm.name === name) ? besides.map((one) => `${one} of VM ${name}`) : [name],
  );
  return left.map((what) => ({ kind: 'orphan', what: `in the data centre: ${what}` }));
}

const idsOf = (resources: Resource[]): string =>
  resources.map(({ id, state }) => `${id} ${state}`).join(', ');
