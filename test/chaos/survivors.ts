import { type Journey } from './journeys';
import { type SeededRandom } from './random';

/** Share of the disasters that leave the VMs at home, unless somebody says another. */
export const SURVIVED_SHARE = 0.5;

/**
 * Decides whether the data centre survives its disaster, with VMs that are off and hold what no backup has. What is drawn here comes
 * from a generator of its own, so that a seed's journeys are otherwise what they were before any data centre survived.
 */
export function drawSurvival(journey: Journey, random: SeededRandom): Journey {
  if (!random.chance(SURVIVED_SHARE)) return journey;
  return {
    ...journey,
    steps: journey.steps.map((one) =>
      one.step === 'lose the data centre' ? { ...one, step: 'lose power in the data centre' } : one,
    ),
  };
}
