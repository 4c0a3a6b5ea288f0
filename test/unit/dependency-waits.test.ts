import { someOf } from '../../plan/some-of';
import { SharedWaits } from '../../workflows/run/dependency-order';

it('waits once for all who wait for the same VMs', async () => {
  const asked: string[] = [];
  let end = (): void => undefined;
  const ended = new Promise<void>((resolve) => (end = resolve));
  const waits = new SharedWaits((name) => {
    asked.push(name);
    return ended;
  });
  const tier = Array.from({ length: 250 }, () => waits.all(['db', 'cache']));
  expect(new Set(tier).size).toBe(1);
  expect(asked).toEqual(['db', 'cache']);
  expect(waits.all(['db'])).not.toBe(tier[0]);
  end();
  await Promise.all(tier);
});

it('names some of many VMs', () => {
  expect(someOf(['db', 'cache'])).toBe('db, cache');
  expect(someOf(['a', 'b', 'c', 'd', 'e', 'f', 'g'])).toBe('a, b, c, d, e and 2 more');
});
