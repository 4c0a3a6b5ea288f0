/** Blocks of a disk, a bit each: a TiB takes 256 KiB. */
export class BlockSet {
  private constructor(
    readonly blocks: number,
    private readonly bits: Buffer,
  ) {}

  /** A set of none of the blocks 0 to `blocks` - 1. */
  static of(blocks: number): BlockSet {
    return new BlockSet(blocks, Buffer.alloc(Math.ceil(blocks / 8)));
  }

  /** @returns undefined where the bytes are not those of a set of that many blocks */
  static parse(blocks: number, bytes: Buffer): BlockSet | undefined {
    return bytes.length === Math.ceil(blocks / 8) ? new BlockSet(blocks, bytes) : undefined;
  }

  add(index: number): void {
    this.check(index);
    this.bits[index >>> 3] = this.bits[index >>> 3]! | (1 << (index & 7));
  }

  has(index: number): boolean {
    this.check(index);
    return (this.bits[index >>> 3]! & (1 << (index & 7))) !== 0;
  }

  /** The blocks, ascending, from `from` on and below `to`. */
  *indexes(from = 0, to = this.blocks): Generator<number> {
    for (let index = from; index < to; index++) if (this.has(index)) yield index;
  }

  toBytes(): Buffer {
    return this.bits;
  }

  private check(index: number): void {
    if (!(index >= 0 && index < this.blocks))
      throw new RangeError(`Block ${index} is none of ${this.blocks} blocks.`);
  }
}
