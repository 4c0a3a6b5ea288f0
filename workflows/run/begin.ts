import { ApplicationFailure, workflowInfo } from '@temporalio/workflow';
import { type ChosenLine } from '../../plan/lines';
import { type ClosedWindow } from '../../plan/replication-limit';
import { type DrPlan } from '../../plan/schema';
import { type PlanPhase, type PlanState, type RunContext, type Undone } from '../../plan/run';
import { control } from './activities';
import { type Asker } from './messages';
import { tellPeopleOf } from './notices';

/** The one argument of every run: enough to start it from the Web UI. */
export interface RunRequest {
  /** Name of the DR plan. */
  plan: string;
  /** Version of the plan; the newest published one where this is absent. */
  digest?: string;
  /** Who asks for it; absent where nobody says so, as from a schedule. */
  askedBy?: Asker;
}

/** A run that knows its plan and itself, but holds nothing yet. */
export interface BegunRun {
  plan: DrPlan;
  /** With the plan's present generation, which gives the right to look, not to change. */
  run: RunContext;
  phase: PlanPhase | 'none';
  /** As it was read; absent where there is none. */
  state?: PlanState;
  /** VMs that the failover left out, while the application is away. */
  without: string[];
  /** Why no backup should begin now; absent where it may, and in runs that began before there were windows. */
  closedWindow?: ClosedWindow;
}

/** First step of every run: the plan from the repository bucket. */
export async function begin(request: RunRequest): Promise<BegunRun> {
  if (typeof request?.plan !== 'string' || request.plan === '')
    throw ApplicationFailure.nonRetryable(
      'Start this workflow with one argument such as {"plan": "shop"}.',
      'BadRequest',
    );
  const { plan, digest, repository, state, closedWindow } = await control.loadPlan({
    plan: request.plan,
    digest: request.digest,
  });
  tellPeopleOf(plan, digest);
  const { firstExecutionRunId } = workflowInfo();
  return {
    plan,
    run: {
      plan: plan.name,
      digest,
      repository,
      runId: firstExecutionRunId,
      generation: state?.generation ?? 0,
    },
    phase: state?.phase ?? 'none',
    ...(state === undefined ? {} : { state }),
    without: state?.without ?? [],
    ...(closedWindow === undefined ? {} : { closedWindow }),
  };
}

/** Takes the plan's state for this run; from then on the run before it is fenced off. @param beside what the state says besides */
export async function take(
  begun: BegunRun,
  from: (PlanPhase | 'none')[],
  to: PlanPhase,
  beside: { chosen?: ChosenLine; undoing?: Undone } = {},
): Promise<RunContext> {
  const { generation } = await control.takePlanState({ run: begun.run, from, to, ...beside });
  return { ...begun.run, generation };
}

/** Refuses at once what the plan's phase does not allow. */
export function requirePhase(begun: BegunRun, allowed: (PlanPhase | 'none')[], action: string): void {
  if (allowed.includes(begun.phase)) return;
  const present = begun.phase === 'none' ? 'was never replicated' : `is ${begun.phase}`;
  throw ApplicationFailure.nonRetryable(
    `Cannot ${action} the plan "${begun.plan.name}": it ${present}; this needs it to be ${allowed.filter((phase) => phase !== 'none').join(' or ')}.`,
    'WrongPhase',
  );
}
