import { setTimeout as sleep } from 'node:timers/promises';
import { cutSite, joinSite } from '../../sandbox/cluster/site-link';
import { type SandboxConfig } from '../../sandbox/config';
import { type SeededRandom } from './random';

/** Milliseconds in which the sites are joined, and in which they are not: longer than what Temporal takes for a sign of life. */
const JOINED_MS = { low: 20_000, high: 60_000 };
const CUT_MS = { low: 4000, high: 20_000 };

/** Cuts the data centre off from AWS and from Temporal now and then, until told to stop. @returns how often */
export async function cutNowAndThen(
  config: SandboxConfig,
  random: SeededRandom,
  signal: AbortSignal,
  log: (line: string) => void,
): Promise<number> {
  const pause = async ({ low, high }: { low: number; high: number }): Promise<void> => {
    await sleep(random.between(low, high), undefined, { signal }).catch(() => undefined);
  };
  for (let cuts = 0; ; cuts++) {
    await pause(JOINED_MS);
    if (signal.aborted) return cuts;
    await cutSite(config);
    log('the data centre is cut off');
    await pause(CUT_MS);
    await joinSite(config);
    log('the data centre is there again');
  }
}
