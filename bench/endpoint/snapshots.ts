import { createHash } from 'node:crypto';
import { closeSync, openSync, readFileSync, readSync } from 'node:fs';
import { BLOCK_SIZE } from '../../blocks/port';
import { ZERO_SHA256 } from '../../blocks/zero';

const DIGEST_BYTES = 32;
const NONE = Buffer.alloc(DIGEST_BYTES);
const BLOCKS_PER_GIB = 2 ** 30 / BLOCK_SIZE;

/** A snapshot of the benchmarks' endpoint: which blocks it has, by their SHA-256; their bytes only where it is a file. */
export class LeanSnapshot {
  state: 'pending' | 'completed' = 'pending';
  readonly blocks: number;
  /** Blocks put, each counted once. */
  written = 0;
  /** PutSnapshotBlock requests, those that sent a block again included. */
  puts = 0;
  private readonly digests: Buffer;
  private file: number | undefined;

  constructor(
    readonly id: string,
    readonly sizeGiB: number,
    private readonly parent?: LeanSnapshot,
  ) {
    this.blocks = sizeGiB * BLOCKS_PER_GIB;
    this.digests = Buffer.alloc(this.blocks * DIGEST_BYTES);
  }

  /** A completed snapshot whose blocks are those of a made disk. */
  static ofDisk(id: string, path: string, sumsPath: string): LeanSnapshot {
    const sums = readFileSync(sumsPath);
    const snapshot = new LeanSnapshot(id, Math.ceil(sums.length / DIGEST_BYTES / BLOCKS_PER_GIB));
    sums.copy(snapshot.digests);
    snapshot.file = openSync(path, 'r');
    snapshot.state = 'completed';
    return snapshot;
  }

  put(index: number, digest: Buffer): void {
    const before = this.own(index);
    this.puts++;
    if (before.equals(NONE)) this.written++;
    digest.copy(before);
  }

  /** SHA-256 over the digests of the blocks that were put, in the order of their indices; base64. */
  aggregate(): string {
    const aggregate = createHash('sha256');
    for (let index = 0; index < this.blocks; index++) {
      const digest = this.own(index);
      if (!digest.equals(NONE)) aggregate.update(digest);
    }
    return aggregate.digest('base64');
  }

  /** Digest of a block, its parent's where it was not put; undefined where there is none. */
  digest(index: number): Buffer | undefined {
    const own = this.own(index);
    return own.equals(NONE) ? this.parent?.digest(index) : own;
  }

  /** Fills `into` with a block of a snapshot that is a file. */
  read(index: number, into: Buffer): void {
    if (this.file === undefined) throw new Error(`The bytes of ${this.id} were not kept.`);
    into.fill(0, readSync(this.file, into, 0, BLOCK_SIZE, index * BLOCK_SIZE));
  }

  /** The first block that is not the one of these digests (zero bytes stand for zeros); undefined where all are. */
  firstDifference(sums: Buffer): number | undefined {
    for (let index = 0; index < this.blocks; index++) {
      const at = index * DIGEST_BYTES;
      const expected = at < sums.length ? sums.subarray(at, at + DIGEST_BYTES) : NONE;
      const digest = this.digest(index) ?? ZERO_SHA256;
      if (!digest.equals(expected.equals(NONE) ? ZERO_SHA256 : expected)) return index;
    }
    return undefined;
  }

  close(): void {
    if (this.file !== undefined) closeSync(this.file);
  }

  private own(index: number): Buffer {
    return this.digests.subarray(index * DIGEST_BYTES, (index + 1) * DIGEST_BYTES);
  }
}
