import { withoutSecrets } from '../../host/secrets';
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

  /** Lines of printable text; of the secrets of the worker, none, wherever the program has them from. */
  get text(): string {
    return printableLines(withoutSecrets(this.kept.toString('utf8')));
  }
}
