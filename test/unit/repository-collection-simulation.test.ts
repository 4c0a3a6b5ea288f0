import { listBackups, newestManifest, openBlockMap, readManifest } from '../../repository/backups/backups';
import { continueBackup, pinInUse, publishBackup } from '../../repository/backups/building-on';
import { collect } from '../../repository/upkeep/collection';
import { DamagedObjectError } from '../../repository/objects/json-object';
import { parseVmKey } from '../../repository/objects/keys';
import { type BackupManifest } from '../../repository/backups/manifest';
import { type ObjectStore } from '../../repository/objects/object-store';
import { AbandonedError, pinBackups, removePin, requirePin } from '../../repository/backups/pins';
import { referencedObjects } from '../../repository/backups/referenced-objects';
import { keptBackups, type RetentionPolicy } from '../../repository/upkeep/retention';
import { backupStates, isAbandoned } from '../../repository/backups/retirement';
import { Interleaving, KilledError, seeded } from '../support/interleaving';
import { MemoryObjectStore } from '../support/memory-object-store';
import {
  type Contents,
  idAt,
  INDEXES,
  readSmallDisk,
  type SmallJournal,
  smallManifest,
  storeSmallDisk,
  VM,
} from '../support/small-backups';

/**
 * Backups, restores and collections of one VM share a store call by call, in an order that a seed decides; each can die
 * at any call; hours and weeks pass between two calls. Whatever happens, what is in use can be read, and in the end
 * nothing is left that nobody needs.
 */

const DISK = 'system';
const DAY_MS = 86_400_000;
const SEEDS = Array.from({ length: Number(process.env.SEEDS ?? 12) }, (_, n) =>
  Number(process.env.SEED ?? n + 1),
);

class World {
  readonly store = new MemoryObjectStore();
  readonly random: () => number;
  private now = Date.UTC(2026, 10, 1);
  private made = 0;
  /** What every backup that was ever begun holds, and the objects that each finished one needs. */
  readonly truth = new Map<string, Contents>();
  readonly needs = new Map<string, Set<string>>();
  readonly finished: string[] = [];
  /** The backup that the DR copy holds. */
  drCopy: string | undefined;
  /** Backups that pending copies name, as snapshots' tags do; one for each restore that is under way. */
  readonly pending = new Map<string, string>();
  events = { abandoned: 0, journalsLost: 0, swept: 0, retired: 0, restored: 0, kills: 0 };
  readonly policy: RetentionPolicy;

  constructor(seed: number) {
    this.random = seeded(seed);
    this.store.clock = () => new Date(this.now);
    this.policy = { keepLast: 1 + this.below(3), keepDaily: this.below(3), keepWeekly: 0, keepMonthly: 0 };
  }

  below(n: number): number {
    return Math.floor(this.random() * n);
  }

  get date(): Date {
    return new Date(this.now);
  }

  pass(ms: number): void {
    this.now += ms;
  }

  /** Mostly seconds; now and then hours; rarely weeks, as where a site was away. */
  passSomeTime(): void {
    const dice = this.random();
    this.pass(
      dice < 0.003
        ? this.random() * 20 * DAY_MS
        : dice < 0.05
          ? this.random() * DAY_MS
          : this.random() * 5000,
    );
  }

  newId(): string {
    // Clocks of data centres go wrong: some backups say that they are hours older than they are.
    const wrong = this.random() < 0.1 ? this.below(12) * 3_600_000 : 0;
    return idAt(new Date(this.now - wrong), ++this.made);
  }

  /** The disk goes on being written to. */
  nextContents(): Contents {
    const last = [...this.truth.values()].at(-1);
    const next = new Map(last ?? INDEXES.map((index) => [index, 0]));
    for (const index of INDEXES) {
      if (this.random() > 0.3) continue;
      if (this.random() < 0.2) next.delete(index);
      else next.set(index, this.below(8));
    }
    return next;
  }

  /** Everything that has to hold after every single call. */
  check(): void {
    const keys = this.store.objects;
    const retired = (id: string) => keys.has(`${VM}/backups/${id}/retired.json`);
    const inUse = this.finished.filter((id) => keys.has(`${VM}/backups/${id}/manifest.json`) && !retired(id));
    for (const id of [...inUse, ...(this.drCopy === undefined ? [] : [this.drCopy])]) {
      for (const key of this.needs.get(id)!) if (!keys.has(key)) throw new Error(`${id} lost ${key}`);
    }
    const newest = [...this.finished].sort().at(-1);
    if (newest !== undefined && retired(newest) && !this.ending)
      throw new Error(`${newest}, the newest, was retired`);
  }
  ending = false;

  async noteFinished(manifest: BackupManifest): Promise<void> {
    if (this.needs.has(manifest.backupId)) return;
    const needs = new Set<string>([`${VM}/backups/${manifest.backupId}/manifest.json`]);
    for (const disk of manifest.disks) {
      needs.add(disk.blockMap);
      for await (const { pages, packs } of referencedObjects(await openBlockMap(this.store, VM, disk)))
        for (const key of [pages, ...packs]) needs.add(key);
    }
    this.needs.set(manifest.backupId, needs);
    this.finished.push(manifest.backupId);
  }
}

/** Makes a backup as the activities do, and goes on after each death. */
async function backUp(world: World, interleaving: Interleaving): Promise<void> {
  const backupId = world.newId();
  const contents = world.nextContents();
  world.truth.set(backupId, contents);
  const takenAt = world.date.toISOString();
  const user = { backupId, disk: DISK };
  let journal: SmallJournal | undefined;
  for (;;) {
    try {
      await interleaving.live(async (store) => {
        if ((await readManifest(store, VM, backupId)) !== undefined) return;
        if (journal !== undefined) await continueBackup(store, VM, user);
        while (journal === undefined) {
          const previous = (await newestManifest(store, VM, backupId))?.backupId;
          if (await pinInUse(store, VM, user, previous === undefined ? [] : [previous]))
            journal = { previous, packs: [] };
        }
        const disk = await storeSmallDisk(store, { backupId, disk: DISK, contents, journal });
        const manifest = smallManifest(backupId, takenAt, [disk], journal.previous);
        await publishBackup(watching(world, store, manifest), manifest);
      });
      return;
    } catch (error) {
      if (error instanceof KilledError) {
        world.events.kills++;
        // Another host takes over, and has no journal.
        if (world.random() < 0.3) {
          journal = undefined;
          world.events.journalsLost++;
        }
        // Or nobody ever does, or somebody does after weeks in which others went on.
        if (world.random() < 0.15) return;
        if (world.random() < 0.15) await outage(world, interleaving);
        continue;
      }
      // Whatever else goes wrong may do so only because the backup had been given up.
      if (!(error instanceof AbandonedError) && !(await isAbandoned(world.store, VM, backupId))) throw error;
      world.events.abandoned++;
      return;
    }
  }
}

async function outage(world: World, interleaving: Interleaving): Promise<void> {
  for (let calls = 40; calls > 0; calls--) {
    // Whatever it is killed at, it is away already.
    await interleaving.live(async (store) => void (await store.get('nothing'))).catch(() => undefined);
    world.pass(world.random() * 1.2 * DAY_MS);
  }
}

/** Notes what a backup needs at the moment in which its manifest is there, also where the answer gets lost. */
function watching(world: World, store: ObjectStore, manifest: BackupManifest): ObjectStore {
  const key = `${VM}/backups/${manifest.backupId}/manifest.json`;
  return {
    ...store,
    putNew: async (written, body) => {
      try {
        return await store.putNew(written, body);
      } finally {
        if (written === key && world.store.objects.get(key)?.equals(body)) await world.noteFinished(manifest);
      }
    },
  };
}

async function restore(world: World, interleaving: Interleaving, n: number): Promise<void> {
  const user = { runId: `run-${n}` };
  let point: string | undefined;
  let pinnedAt: number | undefined;
  let published = false;
  let looks = 0;
  for (;;) {
    try {
      await interleaving.live(async (store) => {
        while (point === undefined) {
          const newest = (await newestManifest(store, VM))?.backupId;
          if (newest === undefined) {
            if (++looks === 100) return;
            continue;
          }
          pinnedAt ??= world.date.getTime();
          // The parent may be retired: the DR copy holds it.
          if (world.drCopy !== undefined) await pinBackups(store, VM, user, [world.drCopy]);
          if (await pinInUse(store, VM, user, [newest])) point = newest;
        }
        if (published) return removePin(store, VM, user);
        const manifest = await readManifest(store, VM, point);
        if (manifest === undefined) throw new Error(`${point}, which is being restored, is gone`);
        // StartSnapshot; until then nothing but the pin protects.
        world.pending.set(user.runId, point);
        const contents = await readSmallDisk(store, manifest.disks[0]!);
        expect([...contents].sort()).toEqual([...world.truth.get(point)!].sort());
        await requirePin(store, VM, user);
        // Replication refuses to go back in time.
        if (world.drCopy === undefined || world.drCopy <= point) world.drCopy = point;
        world.pending.delete(user.runId);
        published = true;
        await removePin(store, VM, user);
        world.events.restored++;
      });
      return;
    } catch (error) {
      if (error instanceof KilledError) {
        world.events.kills++;
        if (world.random() < 0.2) break;
        if (world.random() < 0.05) await outage(world, interleaving);
        continue;
      }
      // A restore that takes longer than a pin lasts may fail; it may never succeed with wrong data.
      if (world.date.getTime() - pinnedAt! < 14 * DAY_MS) throw error;
      break;
    }
  }
  // Its snapshots are deleted, by itself or by the next restore.
  world.pending.delete(user.runId);
}

function collection(world: World, store: ObjectStore, policy: RetentionPolicy, sweep: 'now' | 'when due') {
  return collect({
    store,
    vm: VM,
    policies: [policy],
    heldBackups: () =>
      Promise.resolve(
        new Set([...world.pending.values(), ...(world.drCopy === undefined ? [] : [world.drCopy])]),
      ),
    beforeChange: () => Promise.resolve(),
    sweep,
    dryRun: false,
    signal: new AbortController().signal,
  });
}

async function collectAgainAndAgain(world: World, interleaving: Interleaving, times: number): Promise<void> {
  for (let n = 0; n < times; n++) {
    const policy = world.random() < 0.5 ? world.policy : { ...world.policy, keepLast: 1, keepDaily: 0 };
    try {
      await interleaving.live(async (store) => {
        const { retired, swept } = await collection(world, store, policy, n % 4 === 0 ? 'when due' : 'now');
        world.events.retired += retired.length;
        world.events.swept += swept?.objects ?? 0;
      });
    } catch (error) {
      if (error instanceof KilledError) world.events.kills++;
      // One that stands still for days finds that another has gone on, and ends.
      else if (!(error instanceof DamagedObjectError) || (await isInUse(world, error.key))) throw error;
    }
  }
}

async function isInUse(world: World, key: string): Promise<boolean> {
  const id = parseVmKey(VM, key)?.backupId;
  return id !== undefined && (await listBackups(world.store, VM)).includes(id);
}

async function repeat(times: number, work: (n: number) => Promise<void>): Promise<void> {
  for (let n = 0; n < times; n++) await work(n);
}

async function simulate(seed: number): Promise<World> {
  const world = new World(seed);
  const interleaving = new Interleaving(world.store, world.random, 0.01, () => {
    world.passSomeTime();
    world.check();
  });
  await interleaving.run([
    repeat(6, () => backUp(world, interleaving)),
    repeat(5, () => backUp(world, interleaving)),
    repeat(10, (n) => restore(world, interleaving, n)),
    collectAgainAndAgain(world, interleaving, 12),
    collectAgainAndAgain(world, interleaving, 12),
  ]);

  // Weeks later, nobody is left but the collector.
  for (const days of [15, 2, 2, 31, 2]) {
    world.pass(days * DAY_MS);
    await collection(world, world.store, world.policy, 'now');
    world.check();
  }
  return world;
}

async function expectOnlyWhatIsKept(world: World): Promise<void> {
  const states = [...(await backupStates(world.store, VM))].filter(
    ([, { manifest }]) => manifest !== undefined,
  );
  const inUse = states.filter(([, { retired }]) => retired === undefined).map(([id]) => id);
  const manifests = await Promise.all(inUse.map(async (id) => (await readManifest(world.store, VM, id))!));
  const wanted = new Set([...keptBackups(world.policy, manifests).keys(), inUse.sort().at(-1), world.drCopy]);
  expect(states.map(([id]) => id).filter((id) => !wanted.has(id))).toEqual([]);

  const expected = new Set([`pins/${VM}/collection.json`]);
  for (const [id, { retired }] of states) {
    for (const key of world.needs.get(id)!) expected.add(key);
    if (retired !== undefined) expected.add(`${VM}/backups/${id}/retired.json`);
    const contents = await readSmallDisk(world.store, (await readManifest(world.store, VM, id))!.disks[0]!);
    expect([...contents].sort()).toEqual([...world.truth.get(id)!].sort());
  }
  // Of a backup that is gone, the mark of its end stays as long as others need what it stored.
  for (const key of [...expected]) {
    const { backupId } = parseVmKey(VM, key) ?? {};
    if (backupId !== undefined && !inUse.includes(backupId))
      expected.add(`${VM}/backups/${backupId}/retired.json`);
  }
  expect([...world.store.objects.keys()].sort()).toEqual([...expected].sort());
}

describe('backups, restores and collections beside one another', () => {
  const total = { abandoned: 0, journalsLost: 0, swept: 0, retired: 0, restored: 0, kills: 0 };

  it.each(SEEDS)('keep all that is needed, and nothing else (seed %i)', async (seed) => {
    const world = await simulate(seed);
    await expectOnlyWhatIsKept(world);
    for (const key of Object.keys(total) as (keyof typeof total)[]) total[key] += world.events[key];
  });

  it('had everything happen to them that the simulation is for', () => {
    if (process.env.SEEDS !== undefined) console.log(total);
    for (const [what, times] of Object.entries(total)) expect([what, times > 0]).toEqual([what, true]);
  });
});
