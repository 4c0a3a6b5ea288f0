import { type Priority } from '@temporalio/common';
import { workflowInfo } from '@temporalio/workflow';
import { type WorkflowType } from './ids';

/**
 * What goes first on the queues that all runs share (docs.temporal.io, "Task Queue Priority and Fairness"): 1 is the highest of five,
 * 3 what Temporal takes where nothing is said.
 */
const KEYS: Record<WorkflowType, number> = {
  // An application is down, or about to be.
  failover: 2,
  failback: 2,
  undo: 2,
  // Two copies of it are alive.
  fence: 2,
  commit: 3,
  checkDnsRecords: 3,
  tryNotices: 3,
  lowerDnsTtls: 3,
  restoreDnsTtls: 3,
  backup: 4,
  restore: 4,
  replication: 4,
  check: 4,
  // Nobody waits for these.
  verify: 5,
  prune: 5,
};
/** An administrator waits for it, and no application. */
const TEST_FAILOVER = 3;

/**
 * Priority of what this run asks for; among runs of one priority, plans take turns where the server is set so.
 * @param first what goes before the rest of its run: of a thousand VMs, one that only has to answer would else wait for all that
 *   are still to be launched, and those that depend on it with it
 */
export function priority({ first = false } = {}): Priority {
  const { workflowId, workflowType } = workflowInfo();
  // Whoever starts a run without Lifeboat's client may give it any id.
  const [, plan, run] = workflowId.startsWith('lifeboat:') ? workflowId.split(':') : [];
  const kind = workflowType.replace(/Vm$/, '');
  const key = run === 'failover-test' ? TEST_FAILOVER : (KEYS as Partial<Record<string, number>>)[kind];
  return { priorityKey: key === undefined || !first ? key : key - 1, fairnessKey: plan };
}
