import {
  consoleKey,
  keepConsole,
  KEPT_RUNS,
  listConsoles,
  pruneConsoles,
  readConsoleOutput,
  readScreenshot,
  SCREENSHOT_BYTES,
  screenshotProblem,
} from '../../repository/plans/consoles';
import { MemoryObjectStore } from '../support/memory-object-store';

const jpeg = (bytes = 100): Buffer =>
  Buffer.concat([Buffer.from([0xff, 0xd8, 0xff, 0xe0]), Buffer.alloc(bytes - 6), Buffer.from([0xff, 0xd9])]);
const of = { plan: 'shop', vm: 'web', runId: 'run-1', outcome: 'ready' } as const;

let store: MemoryObjectStore;
let seconds: number;
beforeEach(() => {
  seconds = 0;
  store = new MemoryObjectStore();
  store.clock = () => new Date(Date.UTC(2026, 10, 30) + 1000 * seconds++);
});

it('are listed with the newest first, each of a run once', async () => {
  await keepConsole(store, of, 'screenshot', jpeg());
  await keepConsole(store, { ...of, runId: 'run-2', outcome: 'not-ready' }, 'output', Buffer.from('panic'));
  await keepConsole(store, { ...of, vm: 'web-2' }, 'output', Buffer.from('of another VM'));
  await keepConsole(store, of, 'output', Buffer.from('booted'));
  await store.put('consoles/shop/web/notes.html', Buffer.from('somebody else'));
  const at = (second: number) => new Date(Date.UTC(2026, 10, 30, 0, 0, second));
  expect(await listConsoles(store, 'shop', 'web')).toEqual([
    {
      ...{ runId: 'run-1', outcome: 'ready', at: at(3) },
      screenshot: 'consoles/shop/web/run-1/ready.jpg',
      output: 'consoles/shop/web/run-1/ready.txt',
    },
    {
      ...{ runId: 'run-2', outcome: 'not-ready', at: at(1) },
      output: 'consoles/shop/web/run-2/not-ready.txt',
    },
  ]);
});

it('keep the newest runs, and nothing that is not theirs goes', async () => {
  await store.put('consoles/shop/web/notes.html', Buffer.from('somebody else'));
  await keepConsole(store, { ...of, vm: 'db' }, 'output', Buffer.from('of another VM'));
  for (let run = 0; run < KEPT_RUNS + 3; run++) {
    const one = { ...of, runId: `run-${run}`, outcome: run % 2 === 0 ? 'ready' : 'not-ready' } as const;
    await keepConsole(store, one, 'screenshot', jpeg());
    await keepConsole(store, one, 'output', Buffer.from('x'));
  }
  await pruneConsoles(store, 'shop', 'web');
  const runs = (await listConsoles(store, 'shop', 'web')).map(({ runId }) => runId);
  expect(runs).toEqual(Array.from({ length: KEPT_RUNS }, (_, n) => `run-${KEPT_RUNS + 2 - n}`));
  expect(store.objects.size).toBe(2 * KEPT_RUNS + 2);
});

it('are read with suspicion', async () => {
  const key = consoleKey(of, 'screenshot');
  await expect(readScreenshot(store, key)).rejects.toThrow(/run-1\/ready\.jpg.*it is missing/);
  await store.put(key, jpeg());
  expect(await readScreenshot(store, key)).toEqual(jpeg());
  await store.put(key, Buffer.from('<html><script>'));
  await expect(readScreenshot(store, key)).rejects.toThrow(/it is no JPEG picture/);
  await store.put(key, jpeg(SCREENSHOT_BYTES + 1));
  await expect(readScreenshot(store, key)).rejects.toThrow(/it has 1048577 bytes/);
  await store.put(consoleKey(of, 'output'), Buffer.alloc(65_537));
  await expect(readConsoleOutput(store, consoleKey(of, 'output'))).rejects.toThrow(/it has 65537 bytes/);
});

it('have no names that lead elsewhere', async () => {
  for (const wrong of [{ plan: '../x' }, { vm: 'a/b' }, { runId: '../x' }, { runId: '' }])
    expect(() => consoleKey({ ...of, ...wrong }, 'output')).toThrow();
  await expect(listConsoles(store, 'shop', '../db')).rejects.toThrow(/is no valid VM name/);
});

it('take no picture that is cut off for one', () => {
  expect(screenshotProblem(jpeg())).toBeUndefined();
  expect(screenshotProblem(jpeg().subarray(0, -1))).toBe('it is no JPEG picture');
  expect(screenshotProblem(Buffer.alloc(0))).toBe('it is no JPEG picture');
});
