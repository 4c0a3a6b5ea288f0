import { type Journey } from './journeys';
import { type SeededRandom } from './random';

/** Share of the failbacks that are undone first, with the data centre lost once more. */
const UNDONE_SHARE = 0.5;
/** A step takes some seconds where nothing goes wrong. */
const CANCEL_WITHIN_MS = 4000;
const CANCELLED_SHARE = 0.3;

/**
 * Decides which failbacks are undone before another brings the plan home. What is drawn here comes from a generator of its own, so
 * that a seed's journeys are otherwise what they were before there were undos.
 */
export function drawUndos(journey: Journey, random: SeededRandom): Journey {
  return {
    ...journey,
    steps: journey.steps.flatMap((one) => {
      if (one.step !== 'failback' || !random.chance(UNDONE_SHARE)) return [one];
      const cancelAfterMs = random.chance(CANCELLED_SHARE) ? random.whole(200, CANCEL_WITHIN_MS) : undefined;
      return [
        one,
        { step: 'undo the failback' as const, ...(cancelAfterMs === undefined ? {} : { cancelAfterMs }) },
        { step: 'lose the data centre' as const },
        { step: 'failback' as const },
      ];
    }),
  };
}
