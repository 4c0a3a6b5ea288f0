import { regardless } from './cancellation';

/** Work that all share who asked before it began. Who asks later gets a later answer: nothing told is older than the question. */
export class Shared<T> {
  private running: Promise<T> | undefined;
  private next: Promise<T> | undefined;

  /** @param turn is waited for before the work begins; who asks meanwhile shares it */
  constructor(
    private readonly work: () => Promise<T>,
    private readonly turn: () => Promise<void> = () => Promise.resolve(),
  ) {}

  get idle(): boolean {
    return this.running === undefined && this.next === undefined;
  }

  get(): Promise<T> {
    this.next ??= this.after(this.running);
    return this.next;
  }

  private async after(before: Promise<T> | undefined): Promise<T> {
    await before?.catch(() => undefined);
    try {
      await regardless(this.turn);
    } finally {
      this.running = this.next;
      this.next = undefined;
    }
    try {
      return await regardless(this.work);
    } finally {
      this.running = undefined;
    }
  }
}
