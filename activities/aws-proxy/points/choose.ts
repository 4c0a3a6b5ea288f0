import { ApplicationFailure } from '@temporalio/common';
import { INSTANT_FORM, parseInstant } from '../../../plan/instant';
import { type Lines } from '../../../plan/lines';
import { type PlanState, type RepositoryAddress } from '../../../plan/run';
import { type ObjectStore } from '../../../repository/objects/object-store';
import { readPlanState } from '../../../repository/plans/plan-state';
import { choosePoint, choosePointsAt } from '../../../repository/points/choose';
import { withFailures } from '../../failures';
import { whileBeating } from '../../heartbeat';
import { type PointActivities } from './contract';

export interface ChoosePointsDependencies {
  objectStore: (address: RepositoryAddress) => ObjectStore;
}

/** Clocks that differ by more are wrong. */
const SKEW_MS = 5 * 60_000;

/** Finds the recovery points that people mean. */
export function createChoosePointsActivities({
  objectStore,
}: ChoosePointsDependencies): Pick<PointActivities, 'choosePoints'> {
  return withFailures({
    choosePoints: ({ run, vms, choice }) =>
      whileBeating(async () => {
        const store = objectStore(run.repository);
        const lines = linesFor(await readPlanState(store, run.plan));
        const points =
          choice.point === undefined
            ? await choosePointsAt(store, vms, requireInstant(choice.at ?? ''), lines)
            : await choosePoint(store, vms, choice.point, lines);
        const latest = Math.max(...points.map(({ takenAt }) => Date.parse(takenAt)));
        return { points, line: { ...choice, after: new Date(latest).toISOString() } };
      }),
  } satisfies Pick<PointActivities, 'choosePoints'>);
}

/** What a failover that has died was asked for says nothing of what this one is. */
function linesFor(state: PlanState | undefined): Lines {
  if (state === undefined) return {};
  const { chosen: _, ...others } = state;
  return state.phase === 'failing-over' ? others : state;
}

function requireInstant(text: string): number {
  const at = parseInstant(text);
  if (at === undefined)
    throw ApplicationFailure.nonRetryable(
      `at must be ${INSTANT_FORM}, not ${JSON.stringify(text.slice(0, 80))}.`,
      'BadRequest',
    );
  // A slip in the year would otherwise be the newest backup, which may be what the attacker has encrypted.
  if (at > Date.now() + SKEW_MS)
    throw ApplicationFailure.nonRetryable(
      `at is ${new Date(at).toISOString()}, which is yet to come. For the newest backups, fail over without it.`,
      'BadRequest',
    );
  return at;
}
