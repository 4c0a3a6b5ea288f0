import { WorkflowExecutionAlreadyStartedError } from '@temporalio/common';
import {
  CancellationScope,
  ParentClosePolicy,
  startChild,
  WorkflowIdReusePolicy,
} from '@temporalio/workflow';
import { wantsFence } from '../plan/fence';
import { type RunContext } from '../plan/run';
import { type DrPlan } from '../plan/schema';
import { fence } from './fence';
import { workflowId } from './run/ids';
import { phaseAttribute, planAttribute } from './run/messages';

/** What a run tells of the order that it has left. */
export interface LeftFence {
  workflowId: string;
}

/**
 * Starts what carries the plan's fence order out, and outlives the run; one that is under way for the plan will do. The order itself is
 * in the plan's state by then, so what is lost of this can be started again. A run that is cancelled now has nothing left to take back,
 * and leaves the fence all the same.
 */
export async function startFence(run: RunContext, plan: DrPlan): Promise<LeftFence | undefined> {
  if (!wantsFence(plan)) return undefined;
  const id = workflowId(plan.name, 'fence');
  try {
    await CancellationScope.nonCancellable(() =>
      startChild(fence, {
        workflowId: id,
        args: [{ plan: plan.name, digest: run.digest }],
        parentClosePolicy: ParentClosePolicy.ABANDON,
        workflowIdReusePolicy: WorkflowIdReusePolicy.ALLOW_DUPLICATE,
        staticSummary: `Keep off at the primary site: plan ${plan.name}`,
        typedSearchAttributes: [
          { key: planAttribute, value: plan.name },
          { key: phaseAttribute, value: 'starting' },
        ],
      }),
    );
  } catch (error) {
    if (!(error instanceof WorkflowExecutionAlreadyStartedError)) throw error;
  }
  return { workflowId: id };
}
