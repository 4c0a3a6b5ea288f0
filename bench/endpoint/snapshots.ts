import { createHash } from 'node:crypto';
import { openSync, readFileSync, readSync } from 'node:fs';
import { BLOCK_SIZE } from '../../blocks/port';
import { ZERO_SHA256 } from '../../blocks/zero';

const DIGEST_BYTES = 32;
const NONE = Buffer.alloc(DIGEST_BYTES);
const BLOCKS_PER_GIB = 2 ** 30 / BLOCK_SIZE;

const digestAt = (sums: Buffer, index: number): Buffer =>
  sums.subarray(index * DIGEST_BYTES, (index + 1) * DIGEST_BYTES);

/** A snapshot of the benchmarks' endpoint: which blocks it has, by their SHA-256; their bytes only where it is a file. */
export class LeanSnapshot {
  state: 'pending' | 'completed' = 'pending';
  readonly blocks: number;
  /** Blocks put, each counted once. */
  written = 0;
  /** PutSnapshotBlock requests, those that sent a block again included. */
  puts = 0;
  private readonly digests: Buffer;
  /** By block: 1 where it was put. Most of a sparse disk's are not, and are passed over quickly. */
  private readonly present: Uint8Array;
  private file: number | undefined;

  constructor(
    readonly id: string,
    readonly sizeGiB: number,
    private readonly parent?: LeanSnapshot,
  ) {
    this.blocks = sizeGiB * BLOCKS_PER_GIB;
    this.digests = Buffer.alloc(this.blocks * DIGEST_BYTES);
    this.present = new Uint8Array(this.blocks);
  }

  /** A completed snapshot whose blocks are those of a made disk. */
  static ofDisk(id: string, path: string, sumsPath: string): LeanSnapshot {
    const sums = readFileSync(sumsPath);
    const blocks = sums.length / DIGEST_BYTES;
    const snapshot = new LeanSnapshot(id, Math.ceil(blocks / BLOCKS_PER_GIB));
    for (let index = 0; index < blocks; index++) {
      const digest = digestAt(sums, index);
      if (!digest.equals(NONE)) snapshot.put(index, digest);
    }
    snapshot.file = openSync(path, 'r');
    snapshot.state = 'completed';
    return snapshot;
  }

  put(index: number, digest: Buffer): void {
    this.puts++;
    if (this.present[index] === 0) this.written++;
    this.present[index] = 1;
    digest.copy(this.digests, index * DIGEST_BYTES);
  }

  /** SHA-256 over the digests of the blocks that were put, in the order of their indices; base64. */
  aggregate(): string {
    const aggregate = createHash('sha256');
    for (let index = 0; index < this.blocks; index++)
      if (this.present[index] === 1) aggregate.update(digestAt(this.digests, index));
    return aggregate.digest('base64');
  }

  /** Digest of a block, its parent's where it was not put; undefined where there is none. */
  digest(index: number): Buffer | undefined {
    return this.present[index] === 1 ? digestAt(this.digests, index) : this.parent?.digest(index);
  }

  /** Fills `into` with a block of a snapshot that is a file. */
  read(index: number, into: Buffer): void {
    if (this.file === undefined) throw new Error(`The bytes of ${this.id} were not kept.`);
    into.fill(0, readSync(this.file, into, 0, BLOCK_SIZE, index * BLOCK_SIZE));
  }

  /** The first block that is not the one of these digests (zero bytes stand for zeros); undefined where all are. */
  firstDifference(sums: Buffer): number | undefined {
    for (let index = 0; index < this.blocks; index++) {
      const wanted = (index + 1) * DIGEST_BYTES <= sums.length ? digestAt(sums, index) : NONE;
      const expected = wanted.equals(NONE) ? ZERO_SHA256 : wanted;
      if (!(this.digest(index) ?? ZERO_SHA256).equals(expected)) return index;
    }
    return undefined;
  }
}
