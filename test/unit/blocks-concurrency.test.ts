import { AdaptiveLimit } from '../../blocks/limits/concurrency';

const BOUNDS = { initial: 8, most: 64 };

/** Milliseconds of the time that these tests pass themselves. */
let now = 0;
const newLimit = (bounds = BOUNDS) => new AdaptiveLimit(bounds, () => now);

/**
 * Drives the limit through a service that it knows nothing of, in a time of its own: calls take `latencyMs` where the
 * service does no more than `perSecond`, and longer behind others.
 */
async function drive(
  limit: AdaptiveLimit,
  service: { latencyMs: number; perSecond: number; held?: boolean },
  seconds: number,
): Promise<{ speed: number; most: number }> {
  const until = now + seconds * 1000;
  const ends: { at: number; end: () => void }[] = [];
  let [active, most, done, freeAt] = [0, 0, 0, 0];
  const begin = (): void => {
    void limit.run(async (held) => {
      most = Math.max(most, ++active);
      freeAt = Math.max(freeAt, now) + 1000 / service.perSecond;
      const queue = freeAt - now;
      if (service.held === true) held();
      await new Promise<void>((end) => ends.push({ at: now + Math.max(service.latencyMs, queue), end }));
      active--;
      done++;
      if (now < until) begin();
    });
  };
  for (let n = 0; n < 200; n++) begin();
  for (;;) {
    await new Promise<void>((turn) => setImmediate(turn));
    ends.sort((a, b) => a.at - b.at);
    const next = ends.shift();
    if (next === undefined) break;
    now = Math.max(now, next.at);
    next.end();
  }
  return { speed: done / seconds, most };
}

it('never lets more calls run than the limit', async () => {
  const limit = newLimit({ initial: 4, most: 4 });
  expect((await drive(limit, { latencyMs: 10, perSecond: 1e6 }, 2)).most).toBe(4);
});

it('grows to the most where latency bounds the speed', async () => {
  const limit = newLimit();
  await drive(limit, { latencyMs: 40, perSecond: 1e6 }, 20);
  expect(limit.current).toBe(64);
});

it('stays small where more at once do not make the service faster', async () => {
  const limit = newLimit();
  const { speed } = await drive(limit, { latencyMs: 2, perSecond: 1500 }, 20);
  expect(limit.current).toBeLessThanOrEqual(12);
  expect(speed).toBeGreaterThan(1400);
});

it('grows by doubling in the beginning: a second is enough where calls take a tenth of one', async () => {
  const limit = newLimit({ initial: 8, most: 256 });
  await drive(limit, { latencyMs: 100, perSecond: 1e6 }, 0.7);
  expect(limit.current).toBeGreaterThanOrEqual(128);
});

it('grows no more while something else holds calls up, and goes on afterwards', async () => {
  const limit = newLimit();
  await drive(limit, { latencyMs: 40, perSecond: 1e6, held: true }, 20);
  expect(limit.current).toBe(8);
  await drive(limit, { latencyMs: 40, perSecond: 1e6 }, 20);
  expect(limit.current).toBe(64);
});
