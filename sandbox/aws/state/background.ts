import { extraSeconds } from '../faults/afflicted-work';

/**
 * Work that goes on after its request was answered: states that take time. Each piece is named after the resource
 * it moves on, and pieces of one name run one after another. Nothing here is stored: what was under way when the
 * process died is found in the resources' states at the next start, and begun again.
 */
export class Background {
  private readonly running = new Map<string, Promise<void>>();
  private readonly timers = new Set<{ timer: NodeJS.Timeout; wake: () => void }>();
  private closed = false;

  constructor(private readonly log: (message: string, error: unknown) => void) {}

  /** Starts a piece of work after those of the same name. */
  run(name: string, work: () => Promise<void>): Promise<void> {
    const before = this.running.get(name) ?? Promise.resolve();
    const promise = before
      .then(() => (this.closed ? undefined : work()))
      .catch((error: unknown) => {
        if (!(error instanceof ClosedError)) this.log(`work on ${name} failed`, error);
      })
      .finally(() => {
        if (this.running.get(name) === promise) this.running.delete(name);
      });
    this.running.set(name, promise);
    return promise;
  }

  isRunning(name: string): boolean {
    return this.running.has(name);
  }

  /** @throws ClosedError when the endpoint closes meanwhile */
  async wait(seconds: number): Promise<void> {
    if (this.closed) throw new ClosedError();
    const milliseconds = (seconds + extraSeconds()) * 1000;
    await new Promise<void>((resolve) => {
      const entry = {
        wake: resolve,
        timer: setTimeout(() => {
          this.timers.delete(entry);
          resolve();
        }, milliseconds),
      };
      this.timers.add(entry);
    });
    if (this.closed) throw new ClosedError();
  }

  /** Wakes all waits, lets the pieces end where they are, and starts none any more. */
  async close(): Promise<void> {
    this.closed = true;
    for (const { timer, wake } of this.timers) {
      clearTimeout(timer);
      wake();
    }
    this.timers.clear();
    await Promise.all(this.running.values());
  }
}

/** Thrown out of background work that the endpoint's end cuts short; the next start resumes it. */
export class ClosedError extends Error {
  constructor() {
    super('the endpoint is closing');
    this.name = 'ClosedError';
  }
}
