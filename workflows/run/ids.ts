/** Names of the workflow types that people and services start. */
export type WorkflowType =
  | 'backup'
  | 'restore'
  | 'replication'
  | 'failover'
  | 'failback'
  | 'commit'
  | 'undo'
  | 'fence'
  | 'verify'
  | 'prune'
  | 'check'
  | 'tryNotices'
  | 'checkDnsRecords'
  | 'lowerDnsTtls'
  | 'restoreDnsTtls';

/** `disaster` and `planned` move the application to the recovery site; `test` proves that it could, and removes everything. */
export type FailoverMode = 'disaster' | 'planned' | 'test';

/**
 * A plan has one run of each kind at a time, so the workflow id is the kind and the plan: a second start is refused
 * by Temporal. A test failover may run beside anything.
 */
export function workflowId(plan: string, type: WorkflowType, mode?: FailoverMode): string {
  return `lifeboat:${plan}:${type}${mode === 'test' ? '-test' : ''}`;
}

/** The plan of whose test failover this is the id; undefined where it is none. A schedule's tests have ids of their own. */
export const testedPlan = (id: string): string | undefined =>
  /^lifeboat:([^:]+):failover-test$/.exec(id)?.[1];

/** Id of a VM's child workflow. */
export const childWorkflowId = (parentId: string, vm: string): string => `${parentId}:${vm}`;

/** The run that a workflow is, or of which it is the child for a VM; names of plans and VMs have no colon. */
export function runOfWorkflow(id: string): { workflowId: string; vm?: string } {
  // A schedule puts the time behind the id: `lifeboat:shop:check-2026-11-30T16:25:02Z`.
  const [, workflowId, vm] = /^(lifeboat:[^:]+:[^:]+(?:T\d\d:\d\d:\d\dZ)?):([^:]+)$/.exec(id) ?? [];
  return workflowId === undefined || vm === undefined ? { workflowId: id } : { workflowId, vm };
}

/** Id of the workflow that delivers a notice: a second start with it is refused, so that a notice is told once. */
export const noticeWorkflowId = (plan: string, notice: string): string => `lifeboat:${plan}:notice-${notice}`;

/** Id of the Temporal Schedule that replicates a plan. */
export const replicationScheduleId = (plan: string): string => `lifeboat:${plan}:replication`;

/** Id of the Temporal Schedule that tests a plan; the runs that it starts have it with their time behind it. */
export const testScheduleId = (plan: string): string => `lifeboat:${plan}:scheduled-test`;

/** Id of the Temporal Schedule that checks a plan. */
export const checkScheduleId = (plan: string): string => `lifeboat:${plan}:check`;
