import { type Clock, RateLimit } from '../../blocks/limits/rate-limit';
import { VirtualClock } from '../support/virtual-clock';

const never = new AbortController().signal;
const MIB = 2 ** 20;
const PIECE = 64 * 1024;

/** What went, and when. */
interface Sent {
  at: number;
  bytes: number;
  by: string;
}

async function send(limit: RateLimit, clock: Clock, by: string, bytes: number, into: Sent[]): Promise<void> {
  for (let left = bytes; left > 0; left -= PIECE) {
    await limit.take(PIECE, never);
    into.push({ at: clock.now(), bytes: PIECE, by });
  }
}

/** The most that went within any second. */
function mostInASecond(sent: Sent[]): number {
  const from = (begin: number): number =>
    sent.filter(({ at }) => at >= begin && at < begin + 1000).reduce((sum, { bytes }) => sum + bytes, 0);
  return Math.max(...sent.map(({ at }) => from(at)));
}

it('lets no more through than its bytes a second, in any second, whoever they are of', async () => {
  const clock = new VirtualClock();
  const limit = new RateLimit(() => MIB, clock);
  const sent: Sent[] = [];
  await Promise.all(['a', 'b', 'c'].map((by) => send(limit, clock, by, 4 * MIB, sent)));
  // The first tenth of a second, and the last piece, are for nothing.
  expect(clock.now()).toBeGreaterThan(11_800);
  expect(clock.now()).toBeLessThanOrEqual(12_000);
  expect(mostInASecond(sent)).toBeLessThanOrEqual(1.1 * MIB + PIECE);
  // By turns.
  expect(sent.slice(0, 6).map(({ by }) => by)).toEqual(['a', 'b', 'c', 'a', 'b', 'c']);
});

it('makes up for timers that fire late, and not for what nobody wanted to send', async () => {
  const virtual = new VirtualClock();
  const late: Clock = {
    now: () => virtual.now(),
    sleep: (milliseconds, signal) => virtual.sleep(milliseconds + 15, signal),
  };
  const limit = new RateLimit(() => 10 * MIB, late);
  const sent: Sent[] = [];
  await send(limit, late, 'a', 20 * MIB, sent);
  expect(late.now()).toBeLessThan(2050);
  await virtual.sleep(60_000, never);
  await send(limit, late, 'a', 20 * MIB, sent);
  expect(late.now()).toBeGreaterThan(63_700);
  expect(mostInASecond(sent)).toBeLessThanOrEqual(1.1 * 10 * MIB + 2 * PIECE);
});

it('follows a limit that changes, also one that ends', async () => {
  const clock = new VirtualClock();
  const rateAt = (at: number): number => (at < 2000 ? MIB : at < 4000 ? 4 * MIB : Infinity);
  const limit = new RateLimit(() => rateAt(clock.now()), clock);
  const sent: Sent[] = [];
  await send(limit, clock, 'a', 30 * MIB, sent);
  const before = (end: number) => sent.filter(({ at }) => at < end).length * PIECE;
  expect(before(2000) / MIB).toBeCloseTo(2.1, 0);
  expect((before(4000) - before(2000)) / MIB).toBeCloseTo(8, 0);
  expect(clock.now()).toBeLessThanOrEqual(4100);
});

it('lets whoever waits give up at once, and the others keep their turns', async () => {
  const wakes: (() => void)[] = [];
  let now = 0;
  const clock: Clock = {
    now: () => now,
    sleep: (milliseconds, signal) =>
      new Promise((resolve, reject) => {
        signal.addEventListener('abort', () => reject(signal.reason as Error));
        wakes.push(() => {
          if (!signal.aborted) now += milliseconds;
          resolve();
        });
      }),
  };
  const limit = new RateLimit(() => 1000, clock);
  await limit.take(10_000, never);
  const [sleeping, queued] = [new AbortController(), new AbortController()];
  const passed: string[] = [];
  const takes = [
    limit.take(1000, sleeping.signal).catch((error: Error) => passed.push(error.message)),
    limit.take(1000, queued.signal).catch((error: Error) => passed.push(error.message)),
    limit.take(1000, never).then(() => passed.push('third')),
    limit.take(1000, never).then(() => passed.push('fourth')),
  ];
  queued.abort(new Error('queued gave up'));
  await new Promise(setImmediate);
  expect(passed).toEqual(['queued gave up']);
  sleeping.abort(new Error('sleeping gave up'));
  for (let n = 0; n < 10; n++) {
    await new Promise(setImmediate);
    wakes.splice(0).forEach((wake) => wake());
  }
  await Promise.all(takes);
  expect(passed).toEqual(['queued gave up', 'sleeping gave up', 'third', 'fourth']);
  // 10,000 bytes less the credit, and then 1,000: those who gave up have taken nothing.
  expect(now).toBeGreaterThanOrEqual(10_900);
  expect(now).toBeLessThanOrEqual(11_000);
  await expect(limit.take(1, AbortSignal.abort(new Error('before')))).rejects.toThrow('before');
});

it('waits by real timers, too', async () => {
  const limit = new RateLimit(() => 100 * PIECE);
  const begin = performance.now();
  for (let n = 0; n < 30; n++) await limit.take(PIECE, never);
  // 0.3 s less the credit of 0.1 s and one piece: it cannot be sooner, however slow the machine is.
  expect(performance.now() - begin).toBeGreaterThan(170);
});
