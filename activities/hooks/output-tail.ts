import { printableLines } from '../../plan/printable';

/** Keeps the end of what is printed, however much that is. */
export class OutputTail {
  private kept = Buffer.alloc(0);

  /** @param bytes as much is kept */
  constructor(private readonly bytes: number) {}

  add(chunk: Uint8Array): void {
    const all = Buffer.concat([this.kept, chunk]);
    this.kept = all.subarray(Math.max(0, all.length - this.bytes));
  }

  /** Lines of printable text, of no more bytes than were kept. */
  get text(): string {
    return printableLines(this.kept.toString('utf8'));
  }
}
