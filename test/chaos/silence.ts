import { rm } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { writeFileAtomically } from '../../host/atomic-file';
import { type SeededRandom } from './random';

/** Milliseconds in which guests answer, and in which none does: longer than plans wait for one to get ready. */
const ANSWERING_MS = { low: 20_000, high: 60_000 };
const SILENT_MS = { low: 4000, high: 15_000 };

/** Lets no guest answer now and then, until told to stop: instances that never get ready, until somebody looks. */
export async function silenceNowAndThen(
  file: string,
  random: SeededRandom,
  signal: AbortSignal,
  log: (line: string) => void,
): Promise<void> {
  const pause = async ({ low, high }: { low: number; high: number }): Promise<void> => {
    await sleep(random.between(low, high), undefined, { signal }).catch(() => undefined);
  };
  try {
    for (;;) {
      await pause(ANSWERING_MS);
      if (signal.aborted) return;
      log('no guest answers');
      await writeFileAtomically(file, JSON.stringify(['*']));
      await pause(SILENT_MS);
      await rm(file, { force: true });
      log('guests answer');
    }
  } finally {
    await rm(file, { force: true });
  }
}
