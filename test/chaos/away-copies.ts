import { type Account, type Resource } from './account';
import { disksOf, type ExpectedDisks } from './disks';
import { type Violation } from './invariants';
import { type Journey } from './journeys';
import { type SeededRandom } from './random';

/** Share of the plans away from home that are protected there. */
const PROTECTED_SHARE = 0.6;
const CANCELLED_SHARE = 0.15;
const CANCEL_WITHIN_MS = 3000;

/**
 * Decides whether a plan is replicated while it is away: after its VMs have written, and often once more after they have again. What is
 * drawn here comes from a generator of its own, so that a seed's journeys are otherwise what they were before there were such rounds.
 */
export function drawAwayCopies(journey: Journey, random: SeededRandom): Journey {
  if (!random.chance(PROTECTED_SHARE)) return journey;
  const round = (): Journey['steps'] => [
    {
      step: 'protect away',
      ...(random.chance(CANCELLED_SHARE) ? { cancelAfterMs: random.whole(200, CANCEL_WITHIN_MS) } : {}),
    },
  ];
  const again = random.chance(0.5);
  return {
    ...journey,
    steps: journey.steps.flatMap((one) =>
      one.step === 'write at the recovery site'
        ? [one, ...round(), ...(again ? [one, ...round()] : [])]
        : [one],
    ),
  };
}

/** Of each VM a whole copy, whose newest has the bytes that the data disks had. Older ones are replaced by the next round. */
export async function awayCopyViolations(
  { vms }: Journey,
  resources: Resource[],
  account: Account,
  expected: ExpectedDisks,
): Promise<Violation[]> {
  const violations: Violation[] = [];
  for (const vm of vms) {
    const newest = wholeCopies(vm.name, resources).at(-1);
    if (newest === undefined)
      violations.push({ kind: 'lost', what: `${vm.name} has no whole away copy, and its round is done` });
    for (const disk of disksOf(vm)) {
      const snapshot = newest?.find(({ tags }) => tags['lifeboat:disk'] === disk);
      if (newest !== undefined && snapshot === undefined)
        violations.push({ kind: 'lost', what: `${vm.name}/${disk} is not in the VM's away copy` });
      // The system disk has what was put into it for EC2.
      if (snapshot === undefined || disk !== 'data') continue;
      const blocks = await account.differences(snapshot.id, expected.path(vm.name, disk, 'recovery'));
      if (blocks.length > 0)
        violations.push({
          kind: 'corrupt',
          what: `${vm.name}/${disk}: blocks ${blocks.join(', ')} of the away copy ${snapshot.id} differ`,
        });
    }
  }
  return violations;
}

/** Oldest first. */
function wholeCopies(vm: string, resources: Resource[]): Resource[][] {
  const mine = resources.filter(
    ({ kind, tags }) =>
      kind === 'snapshot' && tags['lifeboat:role'] === 'away-copy' && tags['lifeboat:vm'] === vm,
  );
  const takenAt = ([first]: Resource[]): string => first?.tags['lifeboat:taken-at'] ?? '';
  return [...Map.groupBy(mine, ({ tags }) => tags['lifeboat:set']).values()]
    .filter((set) =>
      set.every(
        ({ state, tags }) => state === 'completed' && tags['lifeboat:disk-count'] === String(set.length),
      ),
    )
    .sort((a, b) => (takenAt(a) < takenAt(b) ? -1 : 1));
}
