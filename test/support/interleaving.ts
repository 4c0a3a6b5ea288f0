import { setImmediate } from 'node:timers/promises';
import { type ListedObject, type ObjectStore } from '../../repository/objects/object-store';
import { type MemoryObjectStore } from './memory-object-store';

/** The process that made the call is dead. */
export class KilledError extends Error {
  constructor() {
    super('killed');
    this.name = 'KilledError';
  }
}

/** Numbers that look random and are the same for the same seed (mulberry32). */
export function seeded(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Keys of a page of a listing: few, so that much can happen between two pages. */
const LISTED_AT_ONCE = 3;

interface Turn {
  process: Process;
  take(): void;
}

/** One life of an actor: its calls go on until it is killed. */
export class Process {
  dead = false;
  /** Calls that wait for their turn. */
  waiting = 0;
  ended = false;
}

/**
 * Lets processes share a store, one call at a time in an order that a seed decides, and kills them at calls: half of
 * the time before the call is carried out, half of the time after, so that only its answer is lost.
 */
export class Interleaving {
  private readonly turns: Turn[] = [];
  private readonly processes = new Set<Process>();
  private calls = 0;

  constructor(
    private readonly inner: MemoryObjectStore,
    private readonly random: () => number,
    /** Chance of dying at a call. */
    private readonly killChance: number,
    /** Called after each call; throws to end it all. */
    private readonly afterCall: (calls: number) => void,
  ) {}

  /** Runs one life of an actor. */
  async live(work: (store: ObjectStore) => Promise<void>): Promise<void> {
    const process = new Process();
    this.processes.add(process);
    try {
      await work(this.storeOf(process));
    } finally {
      process.ended = true;
      this.processes.delete(process);
    }
  }

  /** Gives turns until all of the actors have ended. */
  async run(actors: Promise<void>[]): Promise<void> {
    let ended = false;
    const all = Promise.all(actors).finally(() => (ended = true));
    all.catch(() => undefined);
    while (!ended) {
      await setImmediate();
      const everybodyWaits = [...this.processes].every(({ waiting }) => waiting > 0);
      if (this.turns.length === 0 || !everybodyWaits) continue;
      const [turn] = this.turns.splice(Math.floor(this.random() * this.turns.length), 1);
      turn!.process.waiting--;
      turn!.take();
      await setImmediate();
      this.afterCall(++this.calls);
    }
    await all;
  }

  private async call<T>(process: Process, work: () => Promise<T>): Promise<T> {
    if (process.dead) throw new KilledError();
    process.waiting++;
    await new Promise<void>((take) => this.turns.push({ process, take }));
    if (process.dead) throw new KilledError();
    const dies = this.random() < this.killChance;
    if (dies) process.dead = true;
    if (dies && this.random() < 0.5) throw new KilledError();
    const result = await work();
    if (dies) throw new KilledError();
    return result;
  }

  private storeOf(process: Process): ObjectStore {
    const { inner } = this;
    const call = <T>(work: () => Promise<T>) => this.call(process, work);
    return {
      get: (key) => call(() => inner.get(key)),
      getRange: (key, offset, length) => call(() => inner.getRange(key, offset, length)),
      readRange: (key, offset, into) => call(() => inner.readRange(key, offset, into)),
      put: (key, body) => call(() => inner.put(key, body)),
      putNew: (key, body) => call(() => inner.putNew(key, body)),
      putIfUnchanged: (key, body, etag) => call(() => inner.putIfUnchanged(key, body, etag)),
      delete: (key) => call(() => inner.delete(key)),
      async *list(prefix) {
        for (let after = ''; ;) {
          const page = await call(async () => {
            const found: ListedObject[] = [];
            for await (const object of inner.list(prefix))
              if (object.key > after && found.length < LISTED_AT_ONCE) found.push(object);
            return found;
          });
          yield* page;
          if (page.length < LISTED_AT_ONCE) return;
          after = page.at(-1)!.key;
        }
      },
    };
  }
}
