import fc from 'fast-check';
import { hash } from 'node:crypto';
import { mkdtemp, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { withBackoff } from '../../blocks/backoff';
import { type BlockInTransit, copyBlocks } from '../../blocks/copy';
import { openFileSink } from '../../blocks/file-sink';
import { openFileSource } from '../../blocks/file-source';
import { CopyJournal } from '../../blocks/journal';
import { forEachBounded, mapAhead } from '../../blocks/pipeline';
import { BLOCK_SIZE, type BlockSink } from '../../blocks/port';
import { patternDisk, type Pattern } from '../support/synthetic-disk';

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'lifeboat-copy-'));
});
afterEach(() => rm(directory, { recursive: true }));

const never = new AbortController().signal;
const tick = () => new Promise<void>((resolve) => setImmediate(resolve));

describe('forEachBounded', () => {
  it('runs all items, never more at once than allowed, and pulls no item early', async () => {
    await fc.assert(
      fc.asyncProperty(fc.nat(40), fc.integer({ min: 1, max: 8 }), async (count, concurrency) => {
        let [running, most, pulled] = [0, 0, 0];
        const done: number[] = [];
        function* items() {
          for (let n = 0; n < count; n++) {
            pulled++;
            yield n;
          }
        }
        await forEachBounded(items(), concurrency, never, async (n) => {
          most = Math.max(most, ++running);
          expect(pulled - done.length).toBeLessThanOrEqual(concurrency);
          for (let turns = n % 3; turns >= 0; turns--) await tick();
          running--;
          done.push(n);
        });
        expect(done.sort((a, b) => a - b)).toEqual(Array.from({ length: count }, (_, n) => n));
        expect(most).toBeLessThanOrEqual(concurrency);
      }),
      { numRuns: 40 },
    );
  });

  it('stops at the first failure, after what had begun has ended', async () => {
    const ended: number[] = [];
    const run = forEachBounded([1, 2, 3, 4, 5, 6], 2, never, async (n) => {
      if (n === 2) throw new Error('two');
      for (let turns = 0; turns < 5; turns++) await tick();
      ended.push(n);
    });
    await expect(run).rejects.toThrow('two');
    expect(ended).toEqual([1]);
  });

  it("stops at a signal, with the signal's reason", async () => {
    const abort = new AbortController();
    const begun: number[] = [];
    const run = forEachBounded([1, 2, 3, 4], 1, abort.signal, async (n) => {
      begun.push(n);
      if (n === 2) abort.abort(new Error('enough'));
      await tick();
    });
    await expect(run).rejects.toThrow('enough');
    expect(begun).toEqual([1, 2]);
  });
});

describe('mapAhead', () => {
  it('keeps the order, with a bounded number under way', async () => {
    let [running, most] = [0, 0];
    const results: number[] = [];
    const mapped = mapAhead([5, 1, 4, 2, 3], 3, async (n) => {
      most = Math.max(most, ++running);
      for (let turns = 0; turns < n; turns++) await tick();
      running--;
      return n * 10;
    });
    for await (const result of mapped) results.push(result);
    expect(results).toEqual([50, 10, 40, 20, 30]);
    expect(most).toBe(3);
  });

  it('throws where a mapping fails, leaving no rejection unhandled', async () => {
    const mapped = mapAhead([1, 2, 3], 3, (n) =>
      n > 1 ? Promise.reject(new Error(`no ${n}`)) : Promise.resolve(n),
    );
    const results: number[] = [];
    const run = (async () => {
      for await (const result of mapped) results.push(result);
    })();
    await expect(run).rejects.toThrow('no 2');
    expect(results).toEqual([1]);
  });
});

describe('withBackoff', () => {
  const backoff = { attempts: 4, baseMs: 1, capMs: 2 };
  it('repeats what is transient until it succeeds, and no oftener than allowed', async () => {
    let calls = 0;
    const flaky = () => (++calls < 3 ? Promise.reject(new Error('busy')) : Promise.resolve(calls));
    expect(await withBackoff(backoff, never, () => true, flaky)).toBe(3);
    calls = -100;
    await expect(withBackoff(backoff, never, () => true, flaky)).rejects.toThrow('busy');
    expect(calls).toBe(-96);
  });

  it('does not repeat what is not transient, nor what was cancelled', async () => {
    let calls = 0;
    const failing = () => Promise.reject(new Error(`no ${++calls}`));
    await expect(withBackoff(backoff, never, () => false, failing)).rejects.toThrow('no 1');
    const abort = new AbortController();
    const cancelling = () => {
      abort.abort(new Error('cancelled'));
      return Promise.reject(new Error('busy'));
    };
    await expect(withBackoff(backoff, abort.signal, () => true, cancelling)).rejects.toThrow('cancelled');
  });
});

describe('CopyJournal', () => {
  const path = () => join(directory, 'state', 'journal');
  const open = (identity = ['snap-1'], range = { from: 100, to: 110 }) =>
    CopyJournal.open(path(), identity, range);

  it('remembers what is done, and counts what an interrupted copy sends again', async () => {
    const first = await open();
    for (const index of [100, 101, 102, 109]) first.started(index);
    for (const index of [100, 102]) first.done(index);
    expect([first.sentAgain, first.doneBlocks]).toEqual([0, 2]);
    // No close, no sync: that is how SIGKILL leaves it.
    const second = await open();
    expect(Array.from({ length: 10 }, (_, n) => second.isDone(100 + n))).toEqual(
      Array.from({ length: 10 }, (_, n) => n === 0 || n === 2),
    );
    expect(second.sentAgain).toBe(2);
    for (const index of [101, 109, 104]) second.started(index);
    for (const index of [101, 109]) second.done(index);
    const third = await open();
    expect([third.sentAgain, third.doneBlocks]).toEqual([3, 4]);
    expect(third.beganAt).toBe(first.beganAt);
    expect(() => third.done(110)).toThrow(RangeError);
    expect(() => third.done(99)).toThrow(RangeError);
    for (const journal of [first, second, third]) journal.close();
  });

  it.each([
    ['another target', () => open(['snap-2'])],
    ['another size', () => open(['snap-1'], { from: 100, to: 120 })],
    ['another extent', () => open(['snap-1'], { from: 101, to: 111 })],
    [
      'a damaged file',
      async () => {
        await truncate(path(), 20);
        return open();
      },
    ],
  ])('starts anew for %s', async (_, reopen) => {
    const journal = await open();
    journal.done(103);
    journal.close();
    const other = await reopen();
    expect(other.isDone(103)).toBe(false);
    other.close();
  });
});

describe('files as disks', () => {
  const patterns: Pattern[] = [{ random: 'a' }, 'zero', { text: 'b' }, { random: 'c' }];
  const SIZE = 3 * BLOCK_SIZE + 1536;

  it('are read and written byte for byte, the last block cut at the exact size', async () => {
    const disk = patternDisk(patterns, SIZE);
    await writeFile(join(directory, 'from'), disk);
    await writeFile(join(directory, 'to'), Buffer.alloc(SIZE, 0xff));
    const source = await openFileSource(join(directory, 'from'), SIZE);
    const sink = await openFileSink(join(directory, 'to'), SIZE);
    const block = Buffer.alloc(BLOCK_SIZE, 0xee);
    for (const index of [3, 0, 2, 1]) {
      expect(await source.read(index, block)).toBe(index !== 1);
      await sink.write(index, block, hash('sha256', block, 'buffer'));
    }
    await sink.flush();
    await Promise.all([source.close(), sink.close()]);
    expect((await readFile(join(directory, 'to'))).equals(disk)).toBe(true);
  });

  it('take zeros beyond their end, and refuse anything else', async () => {
    await writeFile(join(directory, 'to'), Buffer.alloc(SIZE));
    const sink = await openFileSink(join(directory, 'to'), SIZE);
    const beyond = Buffer.alloc(BLOCK_SIZE);
    await sink.write(3, beyond, beyond);
    await sink.write(9, beyond, beyond);
    beyond[1536] = 1;
    await expect(sink.write(3, beyond, beyond)).rejects.toThrow('Block 3 holds data beyond the end');
    await expect(sink.write(9, beyond, beyond)).rejects.toThrow('Block 9');
    await sink.close();
    expect((await readFile(join(directory, 'to'))).length).toBe(SIZE);
  });

  it('that are too short are no disks', async () => {
    await writeFile(join(directory, 'from'), Buffer.alloc(BLOCK_SIZE));
    const source = await openFileSource(join(directory, 'from'), 2 * BLOCK_SIZE);
    await expect(source.read(1, Buffer.alloc(BLOCK_SIZE))).rejects.toThrow(/ends at 524288/);
    await source.close();
  });
});

describe('copyBlocks', () => {
  class Sink implements BlockSink {
    readonly writes: number[] = [];
    flushes = 0;
    failAt = -1;
    async write(index: number): Promise<void> {
      if (index === this.failAt) throw new Error('no space');
      this.writes.push(index);
      await tick();
    }
    async flush(): Promise<void> {
      this.flushes++;
    }
    async close(): Promise<void> {}
  }
  async function* blocks(indexes: number[]): AsyncGenerator<BlockInTransit> {
    for (const index of indexes)
      yield {
        index,
        floor: index,
        load: () => Promise.resolve({ block: Buffer.alloc(0), sha256: Buffer.alloc(0) }),
      };
  }
  const run = async (sink: Sink, indexes: number[], durable: 'at once' | 'when flushed') => {
    const journal = await CopyJournal.open(join(directory, 'journal'), ['x'], { from: 0, to: 100 });
    const done: number[] = [];
    const onDone = (index: number) => void done.push(index);
    try {
      await copyBlocks({
        blocks: blocks(indexes),
        sink,
        journal,
        durable,
        concurrency: () => 4,
        signal: never,
        onDone,
      });
    } finally {
      journal.close();
    }
    return done;
  };

  it('writes every block and tells when it is done', async () => {
    const sink = new Sink();
    const all = Array.from({ length: 50 }, (_, n) => n);
    expect((await run(sink, all, 'at once')).sort((a, b) => a - b)).toEqual(all);
    expect(sink.flushes).toBe(1);
  });

  it.each([
    ['at once', true],
    ['when flushed', false],
  ] as const)('after a failure, what was written %s counts as done: %s', async (durable, counts) => {
    const sink = new Sink();
    sink.failAt = 20;
    const all = Array.from({ length: 50 }, (_, n) => n);
    await expect(run(sink, all, durable)).rejects.toThrow('no space');
    expect(sink.flushes).toBe(0);
    const journal = await CopyJournal.open(join(directory, 'journal'), ['x'], { from: 0, to: 100 });
    expect(sink.writes.map((index) => journal.isDone(index))).toEqual(sink.writes.map(() => counts));
    journal.close();
  });
});
