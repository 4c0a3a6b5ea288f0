import { execFileSync } from 'node:child_process';
import { hash, randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { mkdtemp, open, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { constants, zstdCompressSync } from 'node:zlib';
import { blockMemory, type Lease, storedMemory } from '../../blocks/memory';
import { BLOCK_SIZE } from '../../blocks/port';
import { JOB_KINDS, JOB_NUMBERS } from '../../blocks/threads/job';
import { decodeInto, readInto, sha256Of, UndecodableError } from '../../blocks/threads/pool';

const ZSTD_WAYS = join(__dirname, '../../blocks/threads/zstd.mjs');

const leases: Lease[] = [];
afterEach(() => leases.splice(0).forEach((lease) => lease.release()));

async function blockPiece(): Promise<Buffer> {
  const lease = await blockMemory.take();
  leases.push(lease);
  return lease.bytes;
}

/** Bytes in the stored memory, as a ranged GET brings them. */
async function storedPiece(bytes: Buffer, offset = 0): Promise<Buffer> {
  const lease = await storedMemory.take();
  leases.push(lease);
  bytes.copy(lease.bytes, offset);
  return lease.bytes.subarray(offset, offset + bytes.length);
}

it('have the same numbers on both sides', () => {
  const worker = readFileSync(join(__dirname, '../../blocks/threads/worker.mjs'), 'utf8');
  const kinds = /export const KINDS = (\{.*?\});/s.exec(worker)?.[1] ?? '';
  expect(JSON.parse(kinds.replace(/(\w+):/g, '"$1":'))).toEqual(JOB_KINDS);
  expect(Number(/export const NUMBERS = (\d+);/.exec(worker)?.[1])).toBe(JOB_NUMBERS);
});

// First of those that start threads: of two threads, the second has not had a job yet, and may hold the process no more.
it('let the process end when they have nothing to do', async () => {
  await sha256Of(await blockPiece());
  // The thread that answered has its reference taken away before its answer is told.
  expect(process.getActiveResourcesInfo().filter((kind) => kind === 'MessagePort')).toEqual([]);
});

it('hash many blocks at once, each its own', async () => {
  const blocks = await Promise.all(Array.from({ length: 40 }, blockPiece));
  for (const block of blocks) randomBytes(BLOCK_SIZE).copy(block);
  const sums = await Promise.all(blocks.map(sha256Of));
  expect(sums.map((sum) => sum.toString('hex'))).toEqual(blocks.map((block) => hash('sha256', block, 'hex')));
  // A block of no shared memory is hashed, too.
  const own = randomBytes(BLOCK_SIZE);
  expect((await sha256Of(own)).equals(hash('sha256', own, 'buffer'))).toBe(true);
});

it.each([0, 1, 7, 4096])('make blocks out of what is stored, %d bytes into the range', async (offset) => {
  for (const plain of [
    randomBytes(BLOCK_SIZE),
    Buffer.alloc(BLOCK_SIZE, 'text '),
    Buffer.alloc(BLOCK_SIZE),
  ]) {
    const into = await blockPiece();
    for (const [encoding, bytes] of [
      ['raw', plain],
      ['zstd', zstdCompressSync(plain, { params: { [constants.ZSTD_c_compressionLevel]: 1 } })],
    ] as const) {
      into.fill(0xee);
      const sha256 = await decodeInto(into, await storedPiece(bytes, offset), encoding);
      expect(sha256.equals(hash('sha256', plain, 'buffer'))).toBe(true);
      expect(into.equals(plain)).toBe(true);
    }
  }
});

it('refuse what is no block, bombs among it, and go on', async () => {
  const into = await blockPiece();
  const bomb = zstdCompressSync(Buffer.alloc(64 * 2 ** 20));
  const whole = zstdCompressSync(randomBytes(BLOCK_SIZE));
  const bad: [Buffer, 'raw' | 'zstd'][] = [
    [bomb, 'zstd'],
    [randomBytes(1000), 'zstd'],
    [whole.subarray(0, whole.length - 100), 'zstd'],
    [zstdCompressSync(Buffer.alloc(BLOCK_SIZE - 1)), 'zstd'],
    [randomBytes(1000), 'raw'],
    [Buffer.alloc(1), 'zstd'],
  ];
  for (const [bytes, encoding] of bad)
    await expect(decodeInto(into, await storedPiece(bytes), encoding)).rejects.toThrow(UndecodableError);
  expect(await sha256Of(into)).toHaveLength(32);
});

describe('the ways to decompress', () => {
  /** jest compiles tests for CommonJS, in which plain modules cannot be loaded: a process of its own does it. */
  const agree = (frames: Buffer[]): { direct: boolean; outcomes: [string, string][] } => {
    const script = `
      import { directly, documented } from ${JSON.stringify(pathToFileURL(ZSTD_WAYS).href)};
      const direct = directly();
      const outcome = (way, frame) => {
        const block = Buffer.from(new SharedArrayBuffer(${BLOCK_SIZE}));
        try { way(block, frame); } catch (error) { return 'refused'; }
        return process.getBuiltinModule('node:crypto').hash('sha256', block);
      };
      const frames = JSON.parse(process.getBuiltinModule('node:fs').readFileSync(0, 'utf8'));
      const ways = [direct ?? documented(), documented()];
      const outcomes = frames.map((frame) => ways.map((way) => outcome(way, Buffer.from(frame, 'base64'))));
      console.log(JSON.stringify({ direct: direct !== undefined, outcomes }));`;
    const input = JSON.stringify(frames.map((frame) => frame.toString('base64')));
    const args = ['--input-type=module', '-e', script];
    const said = execFileSync(process.execPath, args, { input, maxBuffer: 2 ** 24 });
    return JSON.parse(said.toString()) as ReturnType<typeof agree>;
  };

  it('are one in what they make, and in what they refuse; this Node has the direct one', () => {
    const plain = Buffer.concat([randomBytes(BLOCK_SIZE / 2), Buffer.alloc(BLOCK_SIZE / 2, 'text ')]);
    const frame = zstdCompressSync(plain);
    const flipped = Buffer.from(frame);
    flipped[4711] = flipped[4711]! ^ 1;
    const level22 = { params: { [constants.ZSTD_c_compressionLevel]: 22 } };
    const good = [frame, zstdCompressSync(plain, level22), Buffer.concat([frame, Buffer.from('xx')])];
    const bad = [
      Buffer.alloc(0),
      frame.subarray(0, 3),
      frame.subarray(0, 1000),
      frame.subarray(0, frame.length - 1),
      randomBytes(1000),
      zstdCompressSync(plain.subarray(1)),
      zstdCompressSync(Buffer.concat([plain, Buffer.alloc(1)])),
      zstdCompressSync(Buffer.alloc(64 * 2 ** 20)),
      Buffer.concat([frame, frame]),
    ];
    // What was refused must leave nothing behind for the next one.
    const { direct, outcomes } = agree([...bad, ...good, flipped, ...bad, ...good]);
    expect(direct).toBe(true);
    for (const [one, other] of outcomes) expect(one).toBe(other);
    const sha256 = hash('sha256', plain);
    expect(outcomes.map(([one]) => one)).toEqual([
      ...bad.map(() => 'refused'),
      ...good.map(() => sha256),
      expect.not.stringContaining(sha256),
      ...bad.map(() => 'refused'),
      ...good.map(() => sha256),
    ]);
  });
});

it('read blocks from files, tell zeros, and pad the last one', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'lifeboat-threads-'));
  const disk = Buffer.concat([randomBytes(BLOCK_SIZE), Buffer.alloc(BLOCK_SIZE), randomBytes(1000)]);
  await writeFile(join(directory, 'disk'), disk);
  const file = await open(join(directory, 'disk'));
  try {
    const into = await blockPiece();
    const at = (index: number, length: number) =>
      readInto(into, { fd: file.fd, position: index * BLOCK_SIZE, length });
    expect((await at(0, BLOCK_SIZE))?.equals(hash('sha256', disk.subarray(0, BLOCK_SIZE), 'buffer'))).toBe(
      true,
    );
    expect(await at(1, BLOCK_SIZE)).toBeUndefined();
    await at(2, 1000);
    expect(into.subarray(0, 1000).equals(disk.subarray(2 * BLOCK_SIZE))).toBe(true);
    expect(into.subarray(1000).equals(Buffer.alloc(BLOCK_SIZE - 1000))).toBe(true);
    await expect(at(2, 1001)).rejects.toThrow('1 bytes are missing');
  } finally {
    await file.close();
    await rm(directory, { recursive: true });
  }
});
