/** Bytes at an offset, on their way. */
interface Waiting {
  offset: number;
  bytes: Buffer;
  zero: boolean;
  resolve(): void;
  reject(reason: unknown): void;
}

/** What becomes of what was gathered. */
export interface GatheredWrites {
  /** Pieces of at most so many bytes are written together; a larger one alone. */
  maxBytes: number;
  write(parts: Buffer[], offset: number): Promise<void>;
  /** From so many pieces of zeros in a row on, they are not written but made zero. */
  zeroPieces: number;
  zero(start: number, end: number): Promise<void>;
}

/** Writes under way: one would let a device idle between two; two of 2 MiB keep an EBS volume busy at any latency. */
const UNDER_WAY = 2;

/**
 * Writes what comes in pieces, nearly in order, in large writes: while some are under way, what follows one another
 * gathers. Keeps nothing that its caller has not lent it, and has no time of its own: a piece that is alone when
 * there is room for a write goes alone.
 */
export class WriteGathering {
  private readonly waiting: Waiting[] = [];
  private underWay = 0;
  private starting = false;

  constructor(private readonly to: GatheredWrites) {}

  /**
   * Resolves when the bytes are written; until then they must stay as they are.
   * @param zero whether they are known to be zeros
   */
  add(offset: number, bytes: Buffer, zero = false): Promise<void> {
    return new Promise((resolve, reject) => {
      this.waiting.push({ offset, bytes, zero, resolve, reject });
      if (this.starting) return;
      this.starting = true;
      // Blocks that are read together are ready together: let the others of this turn come, too.
      setImmediate(() => {
        this.starting = false;
        this.start();
      });
    });
  }

  private start(): void {
    while (this.underWay < UNDER_WAY && this.waiting.length > 0) void this.writeRun(this.takeRun());
  }

  private async writeRun(run: Waiting[]): Promise<void> {
    this.underWay++;
    try {
      const { offset } = run[0]!;
      if (run.length >= this.to.zeroPieces && run.every(({ zero }) => zero))
        await this.to.zero(offset, endOf(run.at(-1)!));
      else
        await this.to.write(
          run.map(({ bytes }) => bytes),
          offset,
        );
      for (const { resolve } of run) resolve();
    } catch (error) {
      for (const { reject } of run) reject(error);
    } finally {
      this.underWay--;
      this.start();
    }
  }

  /** The piece of the lowest offset and what follows it without a gap. The few that wait are looked through each time. */
  private takeRun(): Waiting[] {
    this.waiting.sort((a, b) => a.offset - b.offset);
    const start = this.waiting[0]!.offset;
    const zeros = this.following(({ zero }) => zero);
    if (zeros >= this.to.zeroPieces) return this.waiting.splice(0, zeros);
    return this.waiting.splice(0, this.following((piece) => endOf(piece) - start <= this.to.maxBytes) || 1);
  }

  /** How many of those that wait, from the first on, follow one another and are as they should be. */
  private following(fits: (piece: Waiting) => boolean): number {
    let end = this.waiting[0]!.offset;
    const stop = this.waiting.findIndex((piece) => {
      if (piece.offset !== end || !fits(piece)) return true;
      end = endOf(piece);
      return false;
    });
    return stop < 0 ? this.waiting.length : stop;
  }
}

function endOf({ offset, bytes }: Waiting): number {
  return offset + bytes.length;
}
