import { alignedBuffer } from '../../blocks/aligned';
import { BLOCK_SIZE } from '../../blocks/port';
import { PACK_BYTES } from '../maps/block-map-format';

/** Blocks that are read at once: 4 MiB, from which on a larger read gains nothing. */
export const EXTENT_BLOCKS = 8;

/** Milliseconds after which a worker without work gives the memory up. */
const IDLE_MS = 10_000;

/** Buffers of one size, so many at most, given out in the order in which they were asked for, and used again. */
export class BufferPool {
  private readonly free: Buffer[] = [];
  private out = 0;
  private readonly waiting: (() => void)[] = [];
  private idle?: NodeJS.Timeout;

  constructor(
    private readonly count: number,
    private readonly bytes: number,
    private readonly allocate: (bytes: number) => Buffer = (bytes) => Buffer.allocUnsafeSlow(bytes),
  ) {}

  /** @throws the signal's reason */
  async take(signal: AbortSignal): Promise<Buffer> {
    signal.throwIfAborted();
    clearTimeout(this.idle);
    if (this.out >= this.count || this.waiting.length > 0) await this.turn(signal);
    else this.out++;
    return this.free.pop() ?? this.allocate(this.bytes);
  }

  private turn(signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const proceed = (): void => {
        signal.removeEventListener('abort', giveUp);
        resolve();
      };
      const giveUp = (): void => {
        this.waiting.splice(this.waiting.indexOf(proceed), 1);
        reject(signal.reason as Error);
      };
      signal.addEventListener('abort', giveUp, { once: true });
      this.waiting.push(proceed);
    });
  }

  /** Gives a buffer back; nobody may use it any more. */
  give(buffer: Buffer): void {
    this.free.push(buffer);
    const next = this.waiting.shift();
    if (next !== undefined) next();
    else if (--this.out === 0) this.idle = setTimeout(() => (this.free.length = 0), IDLE_MS).unref();
  }
}

/** Buffers of a pool on loan to one who may have to give back those that he lost sight of. */
export function borrowed(pool: BufferPool): {
  take(signal: AbortSignal): Promise<Buffer>;
  give(buffer: Buffer): void;
  giveAll(): void;
} {
  const held = new Set<Buffer>();
  const give = (buffer: Buffer): void => {
    if (held.delete(buffer)) pool.give(buffer);
  };
  return {
    async take(signal) {
      const buffer = await pool.take(signal);
      held.add(buffer);
      return buffer;
    },
    give,
    giveAll: () => [...held].forEach(give),
  };
}

/** The memory that backups share. */
export interface BackupMemory {
  /** For packs that are being filled or sent. */
  packs: BufferPool;
  /** For blocks that are being read, hashed and compressed. */
  extents: BufferPool;
}

/**
 * All backups of this process, however many disks: 64 MiB of packs, so that one disk alone fills one while three are on
 * their way (S3 takes some 90 MB/s a connection), and many disks take turns pack by pack; and 16 MiB of extents, which
 * keeps all the threads busy that compress.
 */
export const processMemory: BackupMemory = {
  packs: new BufferPool(4, PACK_BYTES),
  // Read past the page cache where the disk allows that.
  extents: new BufferPool(4, EXTENT_BLOCKS * BLOCK_SIZE, alignedBuffer),
};
