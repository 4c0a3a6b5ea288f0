import { withoutSecrets } from '../../host/secrets';
import { printableLines } from '../../plan/printable';

/** Bytes kept before the end, so that a secret that the cut would go through is known as a whole: a private key is the longest. */
const BEFORE = 16 * 1024;

/** Keeps the end of what is printed, however much that is. */
export class OutputTail {
  private kept = Buffer.alloc(0);

  /** @param bytes as much is kept */
  constructor(private readonly bytes: number) {}

  add(chunk: Uint8Array): void {
    const all = Buffer.concat([this.kept, chunk]);
    this.kept = all.subarray(Math.max(0, all.length - this.bytes - BEFORE));
  }

  /** Lines of printable text; of the secrets of the worker, none, wherever the program has them from. */
  get text(): string {
    const clean = Buffer.from(withoutSecrets(this.kept.toString('utf8')));
    return printableLines(clean.subarray(Math.max(0, clean.length - this.bytes)).toString('utf8'));
  }
}
