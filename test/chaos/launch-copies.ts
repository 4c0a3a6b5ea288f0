import { type Journey, type Loss } from './journeys';
import { type SeededRandom } from './random';

/** Share of the plans that want launch copies, unless somebody says another. */
export const WANTED_SHARE = 0.5;
const LOST_SHARE = 0.35;
/** The launch itself takes some seconds where nothing goes wrong. */
const LOST_WITHIN_MS = 8000;

/**
 * Decides whether a plan wants launch copies, and where they are lost. What is drawn here comes from a generator of its own, so
 * that a seed's journeys are otherwise what they were before there were launch copies.
 */
export function drawLaunchCopies(journey: Journey, random: SeededRandom, wantedShare: number): Journey {
  if (!random.chance(wantedShare)) return journey;
  return {
    ...journey,
    launchCopy: true,
    steps: journey.steps.map((one) =>
      (one.step === 'failover' || one.step === 'test failover') && random.chance(LOST_SHARE)
        ? { ...one, lose: drawLoss(journey, random) }
        : one,
    ),
  };
}

function drawLoss({ vms }: Journey, random: SeededRandom): Loss {
  return {
    vm: random.pick(vms).name,
    kind: random.pick(['deleted', 'outdated'] as const),
    afterMs: random.chance(0.5) ? 0 : random.whole(1, LOST_WITHIN_MS),
  };
}
