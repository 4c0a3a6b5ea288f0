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
