import { bucketSize } from '../../sandbox/aws/request-limits';

/** A call of a VM's way, by its bucket's name, and the seconds that pass until what it asked for is there. */
export interface Step {
  bucket: string;
  seconds: number;
}

/** What a VM of one way needs, at the least: calls that change something, and the states that they lead to. */
export interface Way {
  /** Before its turn: chains beside each other, each in its order. */
  ahead: Step[][];
  /** When all VMs that it depends on are ready; the last step's end is its readiness. */
  inTurn: Step[];
}

/** Tokens of one bucket, given out in the order in which they are asked for. */
class Bucket {
  private tokens: number;
  private at = 0;

  constructor(private readonly size: { burst: number; perSecond: number }) {
    this.tokens = size.burst;
  }

  /** @returns when the request is admitted, in seconds */
  take(asked: number): number {
    const { burst, perSecond } = this.size;
    const now = Math.max(asked, this.at);
    this.tokens = Math.min(burst, this.tokens + (now - this.at) * perSecond);
    const wait = Math.max(0, 1 - this.tokens) / perSecond;
    this.at = now + wait;
    this.tokens = Math.max(0, this.tokens - 1);
    return this.at;
  }
}

/**
 * Least seconds in which VMs in tiers can all be ready, where every call waits for nothing but its bucket and its turn: what
 * AWS's limits alone make of this way, with a computer, a network and guests that take no time.
 * @param tiers how many VMs each tier has; each waits for all of the one before
 */
export function leastSeconds({ ahead, inTurn }: Way, tiers: readonly number[]): number {
  const buckets = new Map<string, Bucket>();
  const bucketOf = (name: string): Bucket => {
    const size = bucketSize(name);
    if (size === undefined) throw new Error(`${name} is no bucket that is limited.`);
    const bucket = buckets.get(name) ?? new Bucket(size);
    buckets.set(name, bucket);
    return bucket;
  };

  /** Asks that are to be answered, each with what comes after it. */
  const asks: { at: number; order: number; step: Step; then: (end: number) => void }[] = [];
  const begin = (chain: Step[], at: number, order: number, end: (at: number) => void): void => {
    const [step, ...rest] = chain;
    if (step === undefined) end(at);
    else asks.push({ at, order, step, then: (next) => begin(rest, next, order, end) });
  };

  let last = 0;
  const open = tiers.map((size) => ({
    size,
    ready: 0,
    at: 0,
    prepared: [] as [at: number, order: number][],
  }));
  const goOn = (tier: (typeof open)[number], index: number, at: number, order: number): void =>
    begin(inTurn, Math.max(at, tier.at), order, (end) => {
      last = Math.max(last, end);
      tier.ready = Math.max(tier.ready, end);
      if (--tier.size > 0) return;
      const next = open[index + 1];
      if (next === undefined) return;
      next.at = tier.ready;
      for (const [prepared, waiting] of next.prepared.splice(0)) goOn(next, index + 1, prepared, waiting);
    });

  let order = 0;
  open.forEach((tier, index) => {
    for (let n = 0; n < (tiers[index] ?? 0); n++) {
      const vm = order++;
      // A way with nothing to do beforehand is one empty chain.
      const chains = ahead.length === 0 ? [[]] : ahead;
      let left = chains.length;
      let at = 0;
      for (const chain of chains)
        begin(chain, 0, vm, (end) => {
          at = Math.max(at, end);
          if (--left > 0) return;
          if (index === 0 || open[index - 1]?.size === 0) goOn(tier, index, at, vm);
          else tier.prepared.push([at, vm]);
        });
    }
  });

  // Buckets give tokens out in order of time, so the earliest ask is next, and the plan's order decides among those of one time.
  while (asks.length > 0) {
    let first = 0;
    for (let n = 1; n < asks.length; n++) {
      const [one, other] = [asks[n]!, asks[first]!];
      if (one.at < other.at || (one.at === other.at && one.order < other.order)) first = n;
    }
    const [ask] = asks.splice(first, 1);
    if (ask !== undefined) ask.then(bucketOf(ask.step.bucket).take(ask.at) + ask.step.seconds);
  }
  return last;
}

/** Seconds that so many requests of one bucket take at the least; 0 for what is not limited. */
export function bucketSeconds(bucket: string, requests: number): number {
  const size = bucketSize(bucket);
  return size === undefined ? 0 : Math.max(0, (requests - size.burst) / size.perSecond);
}
