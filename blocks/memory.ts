import { alignedSharedMemory } from './aligned';
import { BLOCK_SIZE } from './port';

/**
 * The memory of all block copies of this process, reserved once and used again: however many disks are copied, and
 * however large they are, it never grows beyond that. It is shared with the threads that hash and decompress.
 */

/**
 * Calls to EBS direct of one kind under way, at most: the account's 1,000 a second where each takes 160 ms; AWS's own sizing
 * has 100. As many blocks in memory are 80 MiB. Pieces are handed out again in such an order that those which were never
 * needed at once take no memory.
 */
export const CALLS_AT_ONCE = 160;
/** Blocks beside those in calls that are being read, decoded or written: some 15 ms of them at the quota. */
export const BLOCKS_AHEAD = 16;
const BLOCKS = CALLS_AT_ONCE + BLOCKS_AHEAD;
/** Bytes of one ranged GET of stored blocks: at 90 MB/s a connection, S3's first-byte latency (30 ms) is half of it. */
export const STORED_RANGE_BYTES = 2 * 2 ** 20;
/** Ranged GETs in memory at once: 16 MiB, which bring some 300 MB/s of stored, 500 MB/s of plain blocks. */
const STORED_RANGES = 8;

/**
 * Bytes before the first piece. Copies between page-aligned places (from the page cache into a buffer, say) are four
 * times as slow as others on processors with AMD's "fast short rep mov": measured at 0.21 ms instead of 0.05 ms for
 * 512 KiB. A sector keeps the memory good for O_DIRECT, too.
 */
const OFFSET = 512;

/** A piece of shared memory that somebody has for a while. */
export interface Lease {
  readonly bytes: Buffer;
  /** To be called once, when nobody uses the bytes any more. */
  release(): void;
}

/** Equal pieces of one shared memory, handed out in the order in which they are asked for. */
export class SharedMemory {
  readonly shared: SharedArrayBuffer;
  /** Bytes of {@link shared} before the first piece. */
  readonly offset = OFFSET;
  private readonly free: Buffer[] = [];
  private readonly waiting: ((lease: Lease) => void)[] = [];

  constructor(
    readonly pieces: number,
    readonly pieceBytes: number,
  ) {
    this.shared = alignedSharedMemory(OFFSET + pieces * pieceBytes);
    for (let n = pieces - 1; n >= 0; n--)
      this.free.push(Buffer.from(this.shared, OFFSET + n * pieceBytes, pieceBytes));
  }

  /** Waits for a piece. Its content is whatever was there before. */
  take(): Promise<Lease> {
    const bytes = this.free.pop();
    if (bytes !== undefined) return Promise.resolve(this.lease(bytes));
    return new Promise((resolve) => this.waiting.push(resolve));
  }

  /** Whether the bytes lie in this memory, so that threads can reach them. */
  holds(bytes: Uint8Array): boolean {
    return bytes.buffer === this.shared;
  }

  /** Number of the piece that the bytes are. */
  placeOf(bytes: Uint8Array): number {
    return (bytes.byteOffset - OFFSET) / this.pieceBytes;
  }

  private lease(bytes: Buffer): Lease {
    let released = false;
    return {
      bytes,
      release: () => {
        if (released) return;
        released = true;
        const next = this.waiting.shift();
        if (next === undefined) this.free.push(bytes);
        else next(this.lease(bytes));
      },
    };
  }
}

/** A lease that several share: it ends when the last of them has released it. */
export class SharedLease {
  private holders = 1;

  constructor(private readonly lease: Lease) {}

  get bytes(): Buffer {
    return this.lease.bytes;
  }

  retain(): void {
    this.holders++;
  }

  release(): void {
    if (--this.holders === 0) this.lease.release();
  }
}

/** Plain blocks of BLOCK_SIZE bytes. */
export const blockMemory = new SharedMemory(BLOCKS, BLOCK_SIZE);
/** Stretches of packs, as they come from the backup repository. */
export const storedMemory = new SharedMemory(STORED_RANGES, STORED_RANGE_BYTES);
