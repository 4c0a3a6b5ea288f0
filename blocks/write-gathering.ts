/** Bytes at an offset, on their way. */
interface Waiting {
  offset: number;
  bytes: Buffer;
  resolve(): void;
  reject(reason: unknown): void;
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

  /** @param write writes pieces that follow one another, at most `maxBytes` of them */
  constructor(
    private readonly maxBytes: number,
    private readonly write: (parts: Buffer[], offset: number) => Promise<void>,
  ) {}

  /** Resolves when the bytes are written; until then they must stay as they are. */
  add(offset: number, bytes: Buffer): Promise<void> {
    return new Promise((resolve, reject) => {
      this.waiting.push({ offset, bytes, resolve, reject });
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
      await this.write(
        run.map(({ bytes }) => bytes),
        run[0]!.offset,
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
    const [first] = this.waiting;
    let end = first!.offset;
    let count = 0;
    for (const { offset, bytes } of this.waiting) {
      if (offset !== end || (count > 0 && end + bytes.length - first!.offset > this.maxBytes)) break;
      end += bytes.length;
      count++;
    }
    return this.waiting.splice(0, count);
  }
}
