import { ApplicationFailure } from '@temporalio/common';
import { type RepositoryAddress } from '../../plan/run';
import { DamagedObjectError } from '../../repository/json-object';
import { type ObjectStore } from '../../repository/object-store';
import {
  checkPlanState,
  FencedError,
  movePlanState,
  readPlanState,
  takePlanState,
  WrongPhaseError,
} from '../../repository/plan-state';
import { loadPlan, PlanNotFoundError } from '../../repository/plans';
import { withFailures } from '../failures';
import { type ControlActivities } from './contract';

export interface ControlDependencies {
  objectStore: (address: RepositoryAddress) => ObjectStore;
  /** Where plans are looked for: all that a new worker has to be told. */
  repository: RepositoryAddress;
}

/** The control worker's activities. They keep nothing: all truth is in the repository bucket. */
export function createControlActivities({ objectStore, repository }: ControlDependencies): ControlActivities {
  const activities = {
    async loadPlan({ plan: name, digest: wanted }) {
      const store = objectStore(repository);
      const { digest, plan } = await loadPlan(store, name, wanted);
      const state = await readPlanState(store, name);
      return { digest, plan, repository, ...(state === undefined ? {} : { state }) };
    },
    takePlanState: ({ run, from, to }) => takePlanState(objectStore(run.repository), run, from, to),
    movePlanState: ({ run, to }) => movePlanState(objectStore(run.repository), run, to),
    checkPlanState: ({ run }) => checkPlanState(objectStore(run.repository), run),
  } satisfies ControlActivities;
  return withFailures(withTypedRefusals(activities));
}

/** What no retry changes, with the type that workflows and people know it by. */
const REFUSALS = [
  { of: PlanNotFoundError, type: 'PlanNotFound' },
  { of: WrongPhaseError, type: 'WrongPhase' },
  { of: FencedError, type: 'Fenced' },
  { of: DamagedObjectError, type: 'DamagedObject' },
] as const;

function withTypedRefusals(activities: ControlActivities): ControlActivities {
  const refusing =
    <Input, Output>(activity: (input: Input) => Promise<Output>) =>
    async (input: Input): Promise<Output> => {
      try {
        return await activity(input);
      } catch (error) {
        const refusal = REFUSALS.find(({ of }) => error instanceof of);
        // These messages are whole sentences for people already.
        if (refusal) throw ApplicationFailure.nonRetryable((error as Error).message, refusal.type);
        throw error;
      }
    };
  return {
    loadPlan: refusing(activities.loadPlan),
    takePlanState: refusing(activities.takePlanState),
    movePlanState: refusing(activities.movePlanState),
    checkPlanState: refusing(activities.checkPlanState),
  };
}
