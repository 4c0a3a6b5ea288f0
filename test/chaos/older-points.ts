import { type Journey, type Step } from './journeys';
import { type SeededRandom } from './random';

/** Share of the failovers to an older recovery point, among those that have one, unless somebody says another. */
export const OLDER_SHARE = 0.5;

/**
 * Decides which failovers and test failovers go to the recovery point before the newest. What is drawn here comes from a generator of
 * its own, so that a seed's journeys are otherwise what they were before.
 */
export function drawOlderPoints(journey: Journey, random: SeededRandom, share: number): Journey {
  const names = journey.steps.map(({ step }) => step);
  // There the DR copy is of another backup than the newest already.
  if (names.includes('damage the backup')) return journey;
  const backups = (before: number): number =>
    names.slice(0, before).filter((name) => name === 'backup').length;
  const failovers: readonly Step[] = ['failover', 'test failover'];
  return {
    ...journey,
    steps: journey.steps.map((one, n) =>
      failovers.includes(one.step) && backups(n) > 1 && random.chance(share)
        ? { ...one, older: random.pick(['at', 'point'] as const) }
        : one,
    ),
  };
}
