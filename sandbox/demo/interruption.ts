/** The demo was broken off by a signal. */
export class InterruptedError extends Error {
  constructor(signal: NodeJS.Signals) {
    super(`broken off by ${signal}`);
    this.name = 'InterruptedError';
  }
}

const SIGNALS: NodeJS.Signals[] = ['SIGINT', 'SIGTERM', 'SIGHUP'];

/**
 * Listens for Ctrl-C and its likes until `done`. The first aborts the signal; a second one ends the process at once,
 * as without this.
 */
export function onInterruption(): { signal: AbortSignal; done(): void } {
  const controller = new AbortController();
  const listener = (signal: NodeJS.Signals): void => {
    done();
    controller.abort(new InterruptedError(signal));
  };
  const done = (): void => {
    for (const signal of SIGNALS) process.off(signal, listener);
  };
  for (const signal of SIGNALS) process.on(signal, listener);
  return { signal: controller.signal, done };
}

/**
 * The work's end, or the signal's reason as soon as it is aborted. What the work meets after that is of no interest.
 */
export async function unlessAborted<T>(signal: AbortSignal, work: Promise<T>): Promise<T> {
  work.catch(() => {});
  return Promise.race([
    work,
    new Promise<never>((_, reject) => {
      const abort = (): void => reject(signal.reason as Error);
      if (signal.aborted) abort();
      else signal.addEventListener('abort', abort, { once: true });
    }),
  ]);
}
