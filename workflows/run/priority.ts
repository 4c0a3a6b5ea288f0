import { type Priority } from '@temporalio/common';
import { workflowInfo } from '@temporalio/workflow';
import { type WorkflowType } from './ids';

/**
 * What goes first on the queues that all runs share (docs.temporal.io, "Task Queue Priority and Fairness"): 1 is the highest of five,
 * 3 what Temporal takes where nothing is said.
 */
const KEYS: Record<WorkflowType, number> = {
  // An application is down, or about to be.
  failover: 1,
  failback: 1,
  commit: 2,
  backup: 3,
  restore: 3,
  replication: 3,
  // Nobody waits for these.
  verify: 4,
  prune: 4,
};
/** An administrator waits for it, and no application. */
const TEST_FAILOVER = 2;

/** Priority of what this run asks for; among runs of one priority, plans take turns where the server is set so. */
export function priority(): Priority {
  const { workflowId, workflowType } = workflowInfo();
  // Whoever starts a run without Lifeboat's client may give it any id.
  const [, plan, run] = workflowId.startsWith('lifeboat:') ? workflowId.split(':') : [];
  const kind = workflowType.replace(/Vm$/, '');
  const priorityKey =
    run === 'failover-test' ? TEST_FAILOVER : (KEYS as Partial<Record<string, number>>)[kind];
  return { priorityKey, fairnessKey: plan };
}
