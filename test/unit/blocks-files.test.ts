import fc from 'fast-check';
import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { alignedBuffer } from '../../blocks/aligned';
import { openFileSink } from '../../blocks/file-sink';
import { openFileSource } from '../../blocks/file-source';
import { BLOCK_SIZE } from '../../blocks/port';
import { WriteGathering } from '../../blocks/write-gathering';
import { isZero, ZERO_BLOCK, ZERO_SHA256 } from '../../blocks/zero';
import { patternBlock, patternDisk, type Pattern } from '../support/synthetic-disk';

const run = promisify(execFile);

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'lifeboat-files-'));
});
afterEach(() => rm(directory, { recursive: true }));

const pattern = fc.oneof(
  fc.constant<Pattern>('zero'),
  fc.string({ minLength: 1, maxLength: 4 }).map((random): Pattern => ({ random })),
);

describe('a file source', () => {
  it('reads any range at once, past the page cache and through it', async () => {
    const aligned = alignedBuffer(8 * BLOCK_SIZE);
    const plain = Buffer.allocUnsafe(8 * BLOCK_SIZE + 1).subarray(1);
    await fc.assert(
      fc.asyncProperty(
        fc.array(pattern, { minLength: 1, maxLength: 8 }),
        fc.integer({ min: 0, max: BLOCK_SIZE / 512 - 1 }),
        fc.nat(7),
        fc.boolean(),
        async (patterns, missingSectors, first, direct) => {
          const size = patterns.length * BLOCK_SIZE - missingSectors * 512;
          const from = Math.min(first, patterns.length - 1);
          const count = patterns.length - from;
          const path = join(directory, 'disk');
          await writeFile(path, patternDisk(patterns, size));
          const source = await openFileSource(path, size);
          const into = direct ? aligned : plain;
          into.fill(0xee);
          const hasData = await source.readRange(from, count, into);
          await source.close();
          const expected = Buffer.alloc(count * BLOCK_SIZE);
          patternDisk(patterns, size).copy(expected, 0, from * BLOCK_SIZE);
          expect(into.subarray(0, count * BLOCK_SIZE).equals(expected)).toBe(true);
          expect(into.subarray(count * BLOCK_SIZE).every((byte) => byte === 0xee)).toBe(true);
          expect(hasData).toEqual(
            Array.from(
              { length: count },
              (_, n) => !isZero(expected.subarray(n * BLOCK_SIZE, (n + 1) * BLOCK_SIZE)),
            ),
          );
        },
      ),
      { numRuns: 40 },
    );
  });

  it('has no block past its end', async () => {
    await writeFile(join(directory, 'disk'), Buffer.alloc(3 * BLOCK_SIZE));
    const source = await openFileSource(join(directory, 'disk'), 2 * BLOCK_SIZE);
    await expect(source.readRange(1, 2, alignedBuffer(2 * BLOCK_SIZE))).rejects.toThrow(/has no block 2/);
    await source.close();
  });
});

/** Where disks are made; `disk` gives one of that content. */
interface Ground {
  disk(content: Buffer): Promise<string>;
  end(): Promise<unknown>;
}

/** Whatever file system the tests run on. */
async function file(): Promise<Ground> {
  const path = join(directory, 'disk');
  return {
    async disk(content) {
      await writeFile(path, content);
      return path;
    },
    end: () => rm(path, { force: true }),
  };
}

/** A file system that has neither O_DIRECT nor zero ranges. */
async function ramfs(): Promise<Ground> {
  await run('mount', ['-t', 'ramfs', 'ramfs', directory]);
  return { ...(await file()), end: () => run('umount', [directory]) };
}

/** A block device, as a volume is on EC2. */
async function loopDevice(): Promise<Ground> {
  const backing = join(directory, 'backing');
  let device: string | undefined;
  const detach = async () => {
    if (device !== undefined) await run('losetup', ['--detach', device]);
  };
  return {
    async disk(content) {
      await detach();
      await writeFile(backing, content);
      device = (await run('losetup', ['--find', '--show', backing])).stdout.trim();
      return device;
    },
    end: detach,
  };
}

const BLOCKS = 44;
type Step = { index: number; count: number; data?: Pattern };

const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ index: fc.nat(BLOCKS - 1), count: fc.constant(1), data: pattern }),
  fc.record({ index: fc.nat(BLOCKS - 1), count: fc.integer({ min: 1, max: BLOCKS }) }),
);

/** Steps that may be under way at once: up to that many that touch no block twice. */
function batches(steps: readonly Step[], atOnce: number): Step[][] {
  const all: Step[][] = [];
  let batch: Step[] = [];
  for (const step of steps) {
    const clash = batch.some((o) => o.index < step.index + step.count && step.index < o.index + o.count);
    if (clash || batch.length === 0 || batch.length === atOnce) all.push((batch = []));
    batch.push(step);
  }
  return all;
}

// Mounts and loop devices take root, and are skipped without.
const asRoot = process.getuid?.() === 0 ? it.each : it.skip.each;
const everywhere: [string, () => Promise<Ground>][] = [['a file', file]];
const rootsOwn: [string, () => Promise<Ground>][] = [
  ['a file without O_DIRECT and zero ranges', ramfs],
  ['a block device', loopDevice],
];

describe('a file sink', () => {
  async function isExact(_name: string, openGround: () => Promise<Ground>) {
    const ground = await openGround();
    const holds = async (
      steps: readonly Step[],
      missingSectors: number,
      atOnce: number,
      aligned: boolean,
    ): Promise<void> => {
      const size = BLOCKS * BLOCK_SIZE - missingSectors * 512;
      const expected = Buffer.alloc(size, 'old data ');
      const path = await ground.disk(expected);
      const sink = await openFileSink(path, size);
      const apply = async ({ index, count, data }: Step): Promise<void> => {
        if (data === undefined) return sink.zero(index, count);
        const block = aligned ? alignedBuffer(BLOCK_SIZE) : Buffer.allocUnsafe(BLOCK_SIZE);
        if (data === 'zero') return sink.write(index, ZERO_BLOCK, ZERO_SHA256);
        patternBlock(data).copy(block);
        block.fill(0, Math.min(BLOCK_SIZE, size - index * BLOCK_SIZE));
        await sink.write(index, block, ZERO_SHA256);
        // Written, so the caller may use its memory again.
        block.fill(0xee);
      };
      for (const batch of batches(steps, atOnce)) {
        await Promise.all(batch.map(apply));
        for (const { index, count, data } of batch) {
          const end = Math.min((index + count) * BLOCK_SIZE, size);
          if (data === undefined) expected.fill(0, index * BLOCK_SIZE, end);
          else patternBlock(data).copy(expected, index * BLOCK_SIZE);
        }
      }
      await sink.flush();
      await sink.close();
      expect((await readFile(path)).equals(expected)).toBe(true);
    };
    try {
      await fc.assert(
        fc.asyncProperty(
          fc.array(step, { minLength: 1, maxLength: 50 }),
          fc.integer({ min: 0, max: BLOCK_SIZE / 512 - 1 }),
          fc.integer({ min: 1, max: 12 }),
          fc.boolean(),
          holds,
        ),
        { numRuns: 15 },
      );
    } finally {
      await ground.end();
    }
  }
  it.each(everywhere)('gets every byte, in any order, over what was there: %s', isExact, 120_000);
  asRoot(rootsOwn)('gets every byte, in any order, over what was there: %s', isExact, 120_000);

  async function refusesBeyond(_name: string, openGround: () => Promise<Ground>) {
    const ground = await openGround();
    try {
      const size = 3 * BLOCK_SIZE + 1536;
      const path = await ground.disk(Buffer.alloc(size, 0xff));
      const sink = await openFileSink(path, size);
      const beyond = Buffer.alloc(BLOCK_SIZE);
      await sink.write(9, beyond, ZERO_SHA256);
      await sink.zero(3, 40);
      beyond[1536] = 1;
      await expect(sink.write(3, beyond, ZERO_SHA256)).rejects.toThrow('Block 3 holds data beyond the end');
      await expect(sink.write(9, beyond, ZERO_SHA256)).rejects.toThrow('Block 9');
      await sink.close();
      const expected = Buffer.alloc(size, 0xff).fill(0, 3 * BLOCK_SIZE);
      expect((await readFile(path)).equals(expected)).toBe(true);
    } finally {
      await ground.end();
    }
  }
  it.each(everywhere)('drops zeros beyond its end, and refuses anything else: %s', refusesBeyond);
  asRoot(rootsOwn)('drops zeros beyond its end, and refuses anything else: %s', refusesBeyond);
});

describe('WriteGathering', () => {
  /** What it was made to do, in order: text is written, dots are made zero. */
  function recorded(fail?: (offset: number) => boolean) {
    const done: [offset: number, what: string][] = [];
    const take = async (offset: number, what: string) => {
      done.push([offset, what]);
      await new Promise((resolve) => setImmediate(resolve));
      if (fail?.(offset) === true) throw new Error('no space');
    };
    const gathering = new WriteGathering({
      maxBytes: 4,
      write: (parts, offset) => take(offset, Buffer.concat(parts).toString()),
      zeroPieces: 3,
      zero: (start, end) => take(start, '.'.repeat(end - start)),
    });
    return {
      done,
      add: (offset: number, bytes: string) =>
        gathering.add(offset, Buffer.from(bytes), bytes.startsWith('0')),
    };
  }

  it('writes what follows one another together, never more than allowed', async () => {
    const { done, add } = recorded();
    await Promise.all([
      add(5, 'f'),
      add(2, 'c'),
      add(0, 'ab'),
      add(3, 'de'),
      add(8, 'too long'),
      add(6, 'g'),
    ]);
    expect(done).toEqual([
      [0, 'abc'],
      [3, 'defg'],
      [8, 'too long'],
    ]);
  });

  it('makes many zeros in a row zero by one request, and writes a few', async () => {
    const { done, add } = recorded();
    const zeros = Array.from({ length: 6 }, (_, n) => add(4 + n, '0'));
    await Promise.all([add(0, 'a'), add(1, '0'), add(2, '0'), add(3, 'b'), ...zeros, add(10, 'c')]);
    expect(done).toEqual([
      [0, 'a00b'],
      [4, '......'],
      [10, 'c'],
    ]);
  });

  it('tells every piece of a write that failed, and goes on with the others', async () => {
    const { add } = recorded((offset) => offset === 0);
    const outcomes = await Promise.allSettled([add(0, 'ab'), add(2, 'cd'), add(4, 'ef'), add(6, 'gh')]);
    expect(outcomes.map(({ status }) => status)).toEqual(['rejected', 'rejected', 'fulfilled', 'fulfilled']);
  });
});
