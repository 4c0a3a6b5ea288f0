import { type Journey } from './journeys';
import { type SeededRandom } from './random';

/** Share of the disasters after which VMs at home get their power back, among those that leave any, unless somebody says another. */
export const RETURN_SHARE = 0.7;
/** Of these, plans whose VMs at home are left alone. */
const UNFENCED_SHARE = 0.25;

/**
 * Decides which data centres come back while the application is away, when, and with which of the plan's VMs. What is drawn here comes
 * from a generator of its own, so that a seed's journeys are otherwise what they were before any power returned.
 */
export function drawPowerReturns(journey: Journey, random: SeededRandom, share: number): Journey {
  const moments = momentsOf(journey);
  if (moments.length === 0 || !random.chance(share)) return journey;
  const names = journey.vms.map(({ name }) => name);
  const returns = Array.from({ length: random.whole(1, 2) }, () => {
    const some = names.filter(() => random.chance(0.6));
    return { after: random.pick(moments), vms: some.length > 0 ? some : [random.pick(names)] };
  });
  return {
    ...journey,
    ...(random.chance(UNFENCED_SHARE) ? { unfenced: true } : {}),
    steps: journey.steps.flatMap((one, n) => [
      one,
      ...returns
        .filter(({ after }) => after === n)
        .map(({ vms }) => ({ step: 'power returns' as const, vms })),
    ]),
  };
}

/** Steps after which the application is away, and its VMs are at home all the same. */
function momentsOf({ steps }: Journey): number[] {
  let there = false;
  let away = false;
  return steps.flatMap(({ step }, n) => {
    if (step === 'lose the data centre') there = false;
    if (step === 'lose power in the data centre' || step === 'failback') there = true;
    if (step === 'failback') away = false;
    if (step === 'failover' || step === 'undo the failback') away = true;
    return there && away ? [n] : [];
  });
}
