import fc from 'fast-check';
import { mkdtemp, open, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { copyBlocks } from '../../blocks/copy';
import { emptyTarget } from '../../blocks/empty-target';
import { fileBlocks } from '../../blocks/file-blocks';
import { openFileSink } from '../../blocks/file-sink';
import { CopyJournal } from '../../blocks/journal';
import { BLOCK_SIZE } from '../../blocks/port';
import { patternDisk, type Pattern } from '../support/synthetic-disk';

const pattern = fc.oneof(
  fc.constant<Pattern>('zero'),
  fc.nat(99).map((n): Pattern => ({ random: String(n) })),
  fc.nat(99).map((n): Pattern => ({ text: `text ${n} ` })),
);

interface Files {
  from: string;
  to: string;
  journal: string;
}

async function inFiles(disk: Buffer, before: Buffer, work: (files: Files) => Promise<void>): Promise<Buffer> {
  const directory = await mkdtemp(join(tmpdir(), 'lifeboat-file-'));
  const files = { from: join(directory, 'from'), to: join(directory, 'to'), journal: join(directory, 'j') };
  try {
    await writeFile(files.from, disk);
    await writeFile(files.to, before);
    await work(files);
    return await readFile(files.to);
  } finally {
    await rm(directory, { recursive: true });
  }
}

/** Copies what the journal does not have yet. @returns the indexes that were written */
async function copy(files: Files, sizeBytes: number, empty: boolean, signal: AbortSignal): Promise<number[]> {
  const range = { from: 0, to: Math.ceil(sizeBytes / BLOCK_SIZE) };
  const journal = await CopyJournal.open(files.journal, ['file'], range);
  const file = await open(files.from);
  const sink = await openFileSink(files.to, sizeBytes);
  const written: number[] = [];
  const counting = {
    ...sink,
    write: (index: number, block: Buffer, sha256: Buffer) => {
      written.push(index);
      return sink.write(index, block, sha256);
    },
  };
  try {
    await copyBlocks({
      blocks: [...fileBlocks(file, sizeBytes, range)].filter(({ index }) => !journal.isDone(index)),
      sink: empty ? emptyTarget(counting) : counting,
      journal,
      durable: 'when flushed',
      concurrency: () => 8,
      signal,
      onDone: () => undefined,
    });
  } finally {
    await sink.close();
    await file.close();
    journal.close();
  }
  return written;
}

const never = new AbortController().signal;

it('a file is copied to a file, whatever is in it, over whatever was there', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(pattern, { minLength: 1, maxLength: 12 }),
      fc.nat(1023),
      async (blocks, cut) => {
        const disk = patternDisk(blocks, blocks.length * BLOCK_SIZE - cut * 512);
        const copied = await inFiles(disk, Buffer.alloc(disk.length, 0xee), async (files) => {
          expect(await copy(files, disk.length, false, never)).toHaveLength(blocks.length);
        });
        expect(copied.equals(disk)).toBe(true);
      },
    ),
    { numRuns: 25 },
  );
}, 60_000);

it('zeros are not written where the target is known to be empty', async () => {
  const blocks: Pattern[] = ['zero', { random: 'a' }, 'zero', { text: 'b' }, 'zero'];
  const disk = patternDisk(blocks);
  const copied = await inFiles(disk, Buffer.alloc(disk.length), async (files) => {
    expect((await copy(files, disk.length, true, never)).sort()).toEqual([1, 3]);
  });
  expect(copied.equals(disk)).toBe(true);
});

it('a copy that was cut off goes on, and ends with the same bytes', async () => {
  const disk = patternDisk(Array.from({ length: 60 }, (_, n): Pattern => ({ random: String(n) })));
  const copied = await inFiles(disk, Buffer.alloc(disk.length, 0xee), async (files) => {
    const abort = new AbortController();
    setTimeout(() => abort.abort(new Error('killed')), 20);
    // On a quick machine it may be through before.
    await copy(files, disk.length, false, abort.signal).catch((error: Error) =>
      expect(error.message).toBe('killed'),
    );
    await copy(files, disk.length, false, never);
    expect(await copy(files, disk.length, false, never)).toEqual([]);
  });
  expect(copied.equals(disk)).toBe(true);
});
