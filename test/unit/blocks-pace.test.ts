import { AdaptiveLimit } from '../../blocks/limits/concurrency';
import { BLOCKS_AHEAD, CALLS_AT_ONCE } from '../../blocks/memory';
import { Pace } from '../../blocks/limits/pace';
import { AwsBucket, isRefusal, REFUSAL } from '../support/aws-bucket';
import { SharedClock } from '../support/shared-clock';

const QUOTA = { burst: 100, perSecond: 1000 };
const LATENCY_MS = 100;
const never = new AbortController().signal;

/** A proxy with calls to make without end, `atOnce` under way; each is answered after about a tenth of a second. */
class Proxy {
  done = 0;
  refused = 0;
  readonly pace: Pace;
  private stopped = false;
  private sent = 0;

  constructor(
    private readonly clock: SharedClock,
    private readonly aws: AwsBucket,
    atOnce = 128,
  ) {
    this.pace = new Pace(clock);
    for (let n = 0; n < atOnce; n++) void this.work();
  }

  stop(): void {
    this.stopped = true;
  }

  private async work(): Promise<void> {
    while (!this.stopped) {
      await this.pace.run(
        () => this.call(),
        isRefusal,
        never,
        () => undefined,
      );
      this.done++;
    }
  }

  private async call(): Promise<void> {
    // No two take the same time there: where all do, the one whose turn is a moment earlier gets every token.
    await this.clock.sleep(Math.round((LATENCY_MS * ((this.sent++ * 0.618) % 1)) / 5), never);
    const admitted = this.aws.request();
    await this.clock.sleep(LATENCY_MS, never);
    if (admitted) return;
    this.refused++;
    throw REFUSAL;
  }
}

/** What proxies got done, and had refused, while time passes. */
async function during(clock: SharedClock, seconds: number, ...proxies: Proxy[]) {
  const before = proxies.map(({ done, refused }) => ({ done, refused }));
  await clock.pass(seconds * 1000);
  return proxies.map(({ done, refused }, n) => ({
    perSecond: (done - before[n]!.done) / seconds,
    refused: (refused - before[n]!.refused) / (done - before[n]!.done),
  }));
}

describe('the pace', () => {
  let clock: SharedClock;
  beforeEach(() => {
    clock = new SharedClock();
  });

  it('is none where nothing is refused', async () => {
    const proxy = new Proxy(clock, new AwsBucket(clock, { burst: 1e6, perSecond: 1e6 }));
    const [figures] = await during(clock, 5, proxy);
    expect(figures!.perSecond).toBeGreaterThan(1100);
    expect(proxy.pace.perSecond).toBe(Infinity);
    proxy.stop();
  });

  it.each([300, 1000])('keeps to a quota of %d a second, with few refusals', async (perSecond) => {
    const proxy = new Proxy(clock, new AwsBucket(clock, { burst: perSecond / 10, perSecond }));
    await during(clock, 2, proxy);
    const [figures] = await during(clock, 6, proxy);
    expect(figures!.perSecond).toBeGreaterThan(0.96 * perSecond);
    expect(figures!.refused).toBeLessThan(0.05);
    proxy.stop();
  });

  it('is shared by two proxies in nearly equal parts, and taken whole by the one that is left', async () => {
    const aws = new AwsBucket(clock, QUOTA);
    const first = new Proxy(clock, aws);
    await clock.pass(2000);
    const second = new Proxy(clock, aws);
    await clock.pass(8000);
    const shared = await during(clock, 8, first, second);
    const speeds = shared.map(({ perSecond }) => perSecond);
    expect(speeds[0]! + speeds[1]!).toBeGreaterThan(960);
    expect(Math.min(...speeds) / Math.max(...speeds)).toBeGreaterThan(0.75);
    for (const { refused } of shared) expect(refused).toBeLessThan(0.1);
    second.stop();
    await clock.pass(6000);
    const [alone] = await during(clock, 3, first);
    expect(alone!.perSecond).toBeGreaterThan(960);
    first.stop();
  }, 30_000);

  it('finds a quota that was raised', async () => {
    const proxy = new Proxy(clock, new AwsBucket(clock, { burst: 300, perSecond: 3000 }), 600);
    await clock.pass(7000);
    const [figures] = await during(clock, 3, proxy);
    expect(figures!.perSecond).toBeGreaterThan(0.9 * 3000);
    proxy.stop();
  });

  it('lets a refused call go before those that wait', async () => {
    const pace = new Pace(clock);
    let refusing = true;
    const order: number[] = [];
    const call = (n: number) =>
      pace.run(
        async () => {
          await clock.sleep(LATENCY_MS, never);
          if (refusing) throw REFUSAL;
          order.push(n);
        },
        isRefusal,
        never,
        () => undefined,
      );
    const first = Array.from({ length: 30 }, (_, n) => call(n));
    await clock.pass(600);
    expect(order).toEqual([]);
    const later = Array.from({ length: 200 }, (_, n) => call(100 + n));
    await clock.pass(1);
    refusing = false;
    await clock.pass(20_000);
    await Promise.all([...first, ...later]);
    expect(order.slice(0, 30).every((n) => n < 30)).toBe(true);
    expect(order).toHaveLength(230);
  });

  it('gives the refusal up after two minutes of nothing else, and a wait at the signal', async () => {
    const pace = new Pace(clock);
    const refuse = async () => {
      await clock.sleep(LATENCY_MS, never);
      throw REFUSAL;
    };
    const refused = pace.run(refuse, isRefusal, never, () => undefined);
    let ended = false;
    const given = refused.catch((error: unknown) => {
      ended = true;
      return error;
    });
    await clock.pass(119_000);
    expect(ended).toBe(false);
    await clock.pass(2000);
    await expect(given).resolves.toBe(REFUSAL);

    const abort = new AbortController();
    let made = 0;
    const many = Array.from({ length: 50 }, () =>
      pace.run(
        () => {
          made++;
          return Promise.resolve();
        },
        isRefusal,
        abort.signal,
        () => undefined,
      ),
    );
    const ends = Promise.allSettled(many);
    await clock.pass(100);
    abort.abort(new Error('cancelled'));
    const rejected = (await ends).filter(({ status }) => status === 'rejected');
    expect(made).toBeGreaterThan(5);
    expect(rejected).toHaveLength(50 - made);
  });
});

it('comes to 95 % of the quota from the first call on, at a tenth of a second a call', async () => {
  const clock = new SharedClock();
  const aws = new AwsBucket(clock, QUOTA);
  const limit = new AdaptiveLimit({ initial: 8, most: CALLS_AT_ONCE }, () => clock.now());
  const pace = new Pace(clock);
  let [refused, most] = [0, 0];
  let left = 6000;
  const call = async (): Promise<void> => {
    const admitted = aws.request();
    await clock.sleep(LATENCY_MS, never);
    if (admitted) return;
    refused++;
    throw REFUSAL;
  };
  const work = async (): Promise<void> => {
    while (left-- > 0) await limit.run((held) => pace.run(call, isRefusal, never, held));
    most = Math.max(most, limit.current);
  };
  let endedAt = 0;
  void Promise.all(Array.from({ length: CALLS_AT_ONCE + BLOCKS_AHEAD }, () => work())).then(
    () => (endedAt = clock.now()),
  );
  await clock.pass(8000);
  expect(endedAt).toBeGreaterThan(0);
  expect(6000 / (endedAt / 1000)).toBeGreaterThan(950);
  expect(refused).toBeLessThan(600);
  expect(most).toBeLessThan(CALLS_AT_ONCE);
});
