import { type Resource } from './account';
import { type Violation } from './invariants';
import { type Journey } from './journeys';
import { type ToldLock } from './snapshot-locks';

/** A lock that was made so much later than the last one is another, and not the same call tried again. */
const AGAIN_MS = 10_000;

const isDrCopy = ({ kind, tags }: Resource): boolean =>
  kind === 'snapshot' && tags['lifeboat:role'] === 'dr-copy';
const takenAt = ({ tags }: Resource): string => tags['lifeboat:taken-at'] ?? '';

/**
 * Snapshots of DR copies that have been replaced and may be there all the same: a lock is on them, or was when what would have deleted
 * them last began (`cleaned`, milliseconds since 1970, by VM), or the application was booted from them. A snapshot that was
 * never locked is none, nor is one that no newer whole DR copy has replaced.
 */
export function keptByLocks(
  { vms }: Journey,
  resources: Resource[],
  locks: ReadonlyMap<string, ToldLock>,
  cleaned: (vm: string) => number,
): Resource[] {
  return vms.flatMap(({ name }) => {
    const mine = resources.filter((one) => isDrCopy(one) && one.tags['lifeboat:vm'] === name);
    const newest = wholeSets(mine).map(takenAt).sort().at(-1);
    if (newest === undefined) return [];
    return mine.filter((one) => {
      const lock = locks.get(one.id);
      if (lock === undefined || takenAt(one) >= newest) return false;
      return lock.holds || lock.until >= cleaned(name) || inUse(one, resources);
    });
  });
}

/** One snapshot of each set of one recovery point and one run that is complete. */
function wholeSets(snapshots: Resource[]): Resource[] {
  const setOf = ({ tags }: Resource): string => `${tags['lifeboat:recovery-point']} ${tags['lifeboat:run']}`;
  return [...Map.groupBy(snapshots, setOf).values()].flatMap((set) =>
    set.every(
      ({ state, tags }) => state === 'completed' && tags['lifeboat:disk-count'] === String(set.length),
    )
      ? set.slice(0, 1)
      : [],
  );
}

/** Whether the application at the recovery site began with the recovery point that a snapshot holds. */
export const inUse = ({ tags }: Resource, resources: Resource[]): boolean =>
  resources.some(
    (one) =>
      one.tags['lifeboat:role'] === 'recovery' &&
      one.tags['lifeboat:vm'] === tags['lifeboat:vm'] &&
      one.tags['lifeboat:recovery-point'] === tags['lifeboat:recovery-point'],
  );

/**
 * Nothing that was locked is gone before its lock's end, no lock ends earlier than it once was to, or grows while it holds, and
 * nothing but a DR copy is locked.
 * @param known locks as they were before
 * @param missing since when what is not listed has not been, by snapshot, milliseconds since 1970
 */
export function brokenLocks(
  known: ReadonlyMap<string, ToldLock>,
  resources: Resource[],
  locks: ReadonlyMap<string, ToldLock>,
  missing: ReadonlyMap<string, number>,
): Violation[] {
  const there = new Set(resources.map(({ id }) => id));
  const violations: Violation[] = [];
  for (const [id, before] of known) {
    const end = new Date(before.until).toISOString();
    const lock = locks.get(id);
    if (!there.has(id)) {
      if (before.until > (missing.get(id) ?? 0))
        violations.push({ kind: 'lost', what: `${id} was locked until ${end}, and is gone` });
    } else if (lock === undefined || lock.until < before.until)
      violations.push({ kind: 'lost', what: `${id} was locked until ${end}, and its lock is taken off` });
    else if (lock.createdAt < before.until && lock.createdAt > before.createdAt + AGAIN_MS)
      violations.push({
        kind: 'orphan',
        what: `${id} was locked until ${end}, and is locked for longer now`,
      });
  }
  for (const one of resources)
    if (locks.has(one.id) && !isDrCopy(one))
      violations.push({ kind: 'orphan', what: `${one.id} is locked, and is no DR copy` });
  return violations;
}
