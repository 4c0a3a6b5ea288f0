import { mapAhead } from '../../blocks/pipeline';
import { begunAt, type ChosenPoint, isTurnedAway, type Lines } from '../../plan/lines';
import { nearest } from '../../plan/nearest';
import { someOf } from '../../plan/some-of';
import { MANIFESTS_AT_ONCE, listBackups, readManifest } from '../backups/backups';
import { type ObjectStore } from '../objects/object-store';
import { roundOf } from './points';

/** No recovery point of a plan is what was asked for; the message names the nearest there are. */
export class NoSuchPointError extends Error {
  constructor(problems: readonly string[]) {
    super(problems.join('\n'));
    this.name = 'NoSuchPointError';
  }
}

const DAY_MS = 86_400_000;

/**
 * Of each VM the newest backup of that instant or before, of the lines that people have not turned away from.
 * @param at milliseconds since 1970
 * @throws NoSuchPointError that tells of all VMs which have none
 */
export async function choosePointsAt(
  store: ObjectStore,
  vms: readonly string[],
  at: number,
  lines: Lines,
): Promise<ChosenPoint[]> {
  return all(
    vms,
    async (vm) => (await newestAt(store, vm, at, lines)) ?? (await noneAt(store, vm, at, lines)),
  );
}

/**
 * The backup with that id; of the other VMs what the same run backed up, or else the newest of that instant or before.
 * @throws NoSuchPointError
 */
export async function choosePoint(
  store: ObjectStore,
  vms: readonly string[],
  id: string,
  lines: Lines,
): Promise<ChosenPoint[]> {
  const ids = new Map<string, string[]>();
  const list = async (vm: string): Promise<[string, string[]]> => [vm, await listBackups(store, vm)];
  for await (const [vm, backups] of mapAhead(vms, MANIFESTS_AT_ONCE, list)) ids.set(vm, backups);
  const named = vms.filter((vm) => ids.get(vm)?.includes(id));
  const instants: number[] = [];
  for (const vm of named) instants.push(Date.parse((await pointOf(store, vm, id))?.takenAt ?? ''));
  const at = Math.max(...instants.filter((instant) => !Number.isNaN(instant)));
  if (!Number.isFinite(at)) {
    const near = nearest(id, new Set([...ids.values()].flat()));
    throw new NoSuchPointError([
      `None of the plan's VMs has a backup ${JSON.stringify(id.slice(0, 80))}${near === undefined ? '' : `; did you mean ${near}?`}`,
    ]);
  }
  return all(vms, async (vm) => {
    const own = named.includes(vm) ? id : ids.get(vm)?.findLast((one) => roundOf(one) === roundOf(id));
    const point = own === undefined ? undefined : await pointOf(store, vm, own);
    return point ?? (await newestAt(store, vm, at, lines)) ?? (await noneAt(store, vm, at, lines));
  });
}

async function all(
  vms: readonly string[],
  choose: (vm: string) => Promise<ChosenPoint | string>,
): Promise<ChosenPoint[]> {
  const points: ChosenPoint[] = [];
  const problems: string[] = [];
  for await (const chosen of mapAhead(vms, MANIFESTS_AT_ONCE, choose))
    if (typeof chosen === 'string') problems.push(chosen);
    else points.push(chosen);
  if (problems.length > 0) throw new NoSuchPointError(problems);
  return points;
}

async function newestAt(
  store: ObjectStore,
  vm: string,
  at: number,
  lines: Lines,
): Promise<ChosenPoint | undefined> {
  for (const id of (await listBackups(store, vm)).reverse()) {
    // A disk's instant comes after its backup has begun. The data centre has a clock of its own, though it is no day wrong.
    if (begunAt(id) > at + DAY_MS) continue;
    const manifest = await readManifest(store, vm, id);
    if (manifest === undefined || Date.parse(manifest.takenAt) > at || isTurnedAway(lines, manifest))
      continue;
    return { vm, recoveryPoint: id, takenAt: manifest.takenAt };
  }
  return undefined;
}

async function pointOf(store: ObjectStore, vm: string, id: string): Promise<ChosenPoint | undefined> {
  const manifest = await readManifest(store, vm, id);
  return manifest && { vm, recoveryPoint: id, takenAt: manifest.takenAt };
}

/** In words, with what comes nearest. */
async function noneAt(store: ObjectStore, vm: string, at: number, lines: Lines): Promise<string> {
  const asked = `${vm} has no backup of ${new Date(at).toISOString()} or before`;
  const passedOver: string[] = [];
  for (const id of await listBackups(store, vm)) {
    const manifest = await readManifest(store, vm, id);
    if (manifest === undefined) continue;
    if (!isTurnedAway(lines, manifest)) return `${asked}; its oldest is of ${manifest.takenAt} (${id}).`;
    passedOver.push(id);
  }
  return passedOver.length === 0
    ? `${asked}, nor any other.`
    : `${asked} but those of a line that was turned away from: ${someOf(passedOver)}.`;
}
