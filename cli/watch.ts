import { setTimeout as sleep } from 'node:timers/promises';
import { printable } from '../plan/printable';
import { explainError } from './explain-error';
import { type CliIo } from './io';

/** What makes a terminal empty, and puts its cursor to the beginning. */
const CLEAR = '\x1b[2J\x1b[H';

/**
 * Shows a text again and again until Ctrl-C: on a terminal in one place, elsewhere one after the other, each with its time. A look
 * that fails after the first is told, and the next one is waited for.
 * @param look gives the text
 * @param seconds between two looks
 */
export async function watch(io: CliIo, look: () => Promise<string>, seconds: number): Promise<void> {
  const stop = new AbortController();
  const ignore = io.onInterrupt(() => stop.abort());
  try {
    for (let first = true; !stop.signal.aborted; first = false) {
      const text = await look().catch((error: unknown) => {
        if (first) throw error;
        return `${printable(explainError(error).message)}\n`;
      });
      io.out(`${io.stdoutIsTty === true ? CLEAR : ''}${new Date().toISOString()}\n${text}`);
      await sleep(seconds * 1000, undefined, { signal: stop.signal }).catch((error: Error) => {
        if (error.name !== 'AbortError') throw error;
      });
    }
  } finally {
    ignore();
  }
}
