import { type BudgetOptions, RequestBudget } from '../../activities/aws-proxy/account/request-budget';
import { AwsBucket, isRefusal, REFUSAL } from '../support/aws-bucket';
import { SharedClock } from '../support/shared-clock';
import { VirtualClock } from '../support/virtual-clock';

/** RunInstances and StartInstances have it. */
const SMALLEST = { burst: 5, perSecond: 2 };
const never = new AbortController().signal;

function budget(clock: VirtualClock, options: BudgetOptions = {}, size = SMALLEST): RequestBudget {
  return new RequestBudget(size, { clock, random: () => 0.5, ...options });
}

describe('the budget of a bucket', () => {
  it('lets the burst go at once and then the refill, in order, and nothing is refused', async () => {
    const clock = new VirtualClock();
    const aws = new AwsBucket(clock, SMALLEST);
    const one = budget(clock);
    const order: number[] = [];
    const call = (n: number) => one.run(() => (order.push(n), aws.call()), isRefusal);
    await Promise.all(Array.from({ length: 40 }, (_, n) => call(n)));
    expect(aws).toMatchObject({ admitted: 40, refused: 0 });
    expect(order).toEqual([...order].sort((a, b) => a - b));
    // (40 − 5) / 2 seconds, and two in a hundred.
    expect(clock.now()).toBeGreaterThanOrEqual(17_500);
    expect(clock.now()).toBeLessThan(17_950);
  });

  it('fills up again while nobody asks, to the burst and not beyond', async () => {
    const clock = new VirtualClock();
    const one = budget(clock);
    for (let n = 0; n < 5; n++) await one.take();
    await clock.sleep(3_600_000, never);
    const began = clock.now();
    for (let n = 0; n < 7; n++) await one.take();
    expect(clock.now() - began).toBeGreaterThanOrEqual(1000);
    expect(clock.now() - began).toBeLessThan(1030);
  });

  it.each([0, 300, 900])(
    'counts on nothing that AWS may not have: requests that arrive up to %d ms late',
    async (late) => {
      const clock = new SharedClock();
      const aws = new AwsBucket(clock, SMALLEST);
      const one = budget(clock);
      let way = 0;
      const calls = Array.from({ length: 60 }, (_, n) =>
        one.run(async () => {
          // The first ones late, later ones at once: as uneven as it can be.
          way = n < 10 ? late : (way + 370) % (late + 1);
          await clock.sleep(way, never);
          return aws.call();
        }, isRefusal),
      );
      await clock.pass(60_000);
      await Promise.all(calls);
      expect(aws).toMatchObject({ admitted: 60, refused: 0 });
    },
  );

  it('does not wait for answers that take long', async () => {
    const clock = new SharedClock();
    const aws = new AwsBucket(clock, SMALLEST);
    const one = budget(clock);
    const calls = Array.from({ length: 45 }, () =>
      one.run(async () => {
        await aws.call();
        await clock.sleep(15_000, never);
      }, isRefusal),
    );
    // The tokens of 40, a second for what may still be on its way, and the last one's answer.
    await clock.pass(20_000 * 1.02 + 1000 + 15_000);
    await Promise.all(calls);
    expect(aws.refused).toBe(0);
  });

  it('has a refused call go first again, and after nine refusals no more', async () => {
    const clock = new VirtualClock();
    const one = budget(clock);
    const order: string[] = [];
    let refusals = 2;
    const refusedTwice = () => {
      order.push('refused twice');
      return refusals-- > 0 ? Promise.reject(REFUSAL) : Promise.resolve();
    };
    await one.run(() => Promise.resolve(), isRefusal);
    const first = one.run(refusedTwice, isRefusal);
    const others = Array.from({ length: 9 }, () =>
      one.run(() => Promise.resolve(order.push('other')), isRefusal),
    );
    await Promise.all([first, ...others]);
    expect(order.lastIndexOf('refused twice')).toBeLessThan(order.lastIndexOf('other'));
    expect(order.filter((what) => what === 'refused twice')).toHaveLength(3);

    let tries = 0;
    await expect(one.run(() => (tries++, Promise.reject(REFUSAL)), isRefusal)).rejects.toBe(REFUSAL);
    expect(tries).toBe(9);
    const other = new Error('another');
    await expect(one.run(() => (tries++, Promise.reject(other)), isRefusal)).rejects.toBe(other);
    expect(tries).toBe(10);
  });

  it('comes to equal parts with others who use the bucket, and to all of it when they have gone', async () => {
    const clock = new SharedClock();
    const aws = new AwsBucket(clock, SMALLEST);
    const done = { a: 0, b: 0 };
    let bWorks = true;
    let seed = 1;
    const random = (): number => (seed = (seed * 16_807) % 2_147_483_647) / 2_147_483_647;
    const work = async (name: 'a' | 'b', of: RequestBudget, goesOn: () => boolean): Promise<void> => {
      const call = async (): Promise<void> => {
        await clock.sleep(random() * 50, never);
        await aws.call();
        done[name]++;
      };
      // A call that is refused too often is made again, as an activity would be.
      while (goesOn()) await of.run(call, isRefusal).catch((error: unknown) => expect(error).toBe(REFUSAL));
    };
    const four = (name: 'a' | 'b', goesOn: () => boolean): Promise<void>[] => {
      const one = budget(clock, { random });
      return Array.from({ length: 4 }, () => work(name, one, goesOn));
    };
    const all = [...four('a', () => clock.now() < 900_000), ...four('b', () => bWorks)];
    await clock.pass(600_000);
    const { admitted, refused } = aws;
    // Of the 1,205 that AWS has nearly all, and neither much more than the other.
    expect(admitted).toBeGreaterThan(1100);
    expect(Math.min(done.a, done.b) / Math.max(done.a, done.b)).toBeGreaterThan(0.7);
    expect(refused / admitted).toBeLessThan(0.25);

    bWorks = false;
    await clock.pass(60_000);
    const before = { done: done.a, refused: aws.refused };
    await clock.pass(120_000);
    expect(done.a - before.done).toBeGreaterThan(225);
    expect(aws.refused - before.refused).toBe(0);
    await clock.pass(200_000);
    await Promise.all(all);
  });

  it('lets go of whoever stops waiting, and leaves the order of the others', async () => {
    const clock = new SharedClock();
    const one = budget(clock, {}, { burst: 1, perSecond: 1 });
    await one.take();
    const order: string[] = [];
    const abort = new AbortController();
    const take = (name: string, signal?: AbortSignal) => one.take(signal).then(() => order.push(name));
    const leaving = take('leaves', abort.signal).catch((error: unknown) => error);
    const staying = [take('first'), take('second', new AbortController().signal)];
    const reason = new Error('cancelled');
    abort.abort(reason);
    expect(await leaving).toBe(reason);
    await expect(one.take(abort.signal)).rejects.toBe(reason);
    await clock.pass(2100);
    await Promise.all(staying);
    expect(order).toEqual(['first', 'second']);

    // Nobody is left, and nothing is begun for nobody; who comes then is served all the same.
    const again = new AbortController();
    const alone = take('nobody', again.signal).catch((error: unknown) => error);
    again.abort(reason);
    const last = take('last');
    expect(await alone).toBe(reason);
    await clock.pass(1100);
    await last;
    expect(order).toEqual(['first', 'second', 'last']);
  });
});
