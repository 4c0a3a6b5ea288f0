import fc from 'fast-check';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { alignedBuffer } from '../../blocks/aligned';
import { openFileSource } from '../../blocks/file-source';
import { BLOCK_SIZE } from '../../blocks/port';
import { isZero } from '../../blocks/zero';
import { patternDisk, type Pattern } from '../support/synthetic-disk';

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'lifeboat-files-'));
});
afterEach(() => rm(directory, { recursive: true }));

describe('a file source', () => {
  const pattern = fc.oneof(
    fc.constant<Pattern>('zero'),
    fc.string({ minLength: 1, maxLength: 4 }).map((random): Pattern => ({ random })),
  );

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
