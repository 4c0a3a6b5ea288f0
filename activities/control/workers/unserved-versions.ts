import { type Client, WorkflowNotFoundError } from '@temporalio/client';
import { CONTROL_QUEUE } from '../../task-queues';
import { type DeploymentVersion, pollersOf } from './pollers';

/** VersioningBehavior PINNED of temporal.api.enums.v1. */
const PINNED = 1;
/** More open runs than a plan can have that are no children of others. */
const MOST_RUNS = 50;

/** A version of the control workers that work waits for, and no worker polls for. */
export interface UnservedVersion extends DeploymentVersion {
  /** Open runs of the plan that end on it; none where it is the current one, and nothing is bound to it. */
  runs: string[];
  /** Whether it gets all that is new. */
  current: boolean;
}

/** Versions that a plan's runs need, and nobody serves. */
export async function unservedVersions(
  temporal: Client,
  plan: string,
  now = new Date(),
): Promise<UnservedVersion[]> {
  const { pollers, current } = await pollersOf(temporal, CONTROL_QUEUE, 'workflows', now);
  const needed = new Map<string, UnservedVersion>();
  if (current !== undefined) needed.set(keyOf(current), { ...current, runs: [], current: true });
  for (const { workflowId, version } of await pinnedRuns(temporal, plan)) {
    const known = needed.get(keyOf(version)) ?? { ...version, runs: [], current: false };
    needed.set(keyOf(version), { ...known, runs: [...known.runs, workflowId].sort() });
  }
  const served = new Set(pollers.map(({ deployment = '', buildId = '' }) => keyOf({ deployment, buildId })));
  return [...needed].filter(([key]) => !served.has(key)).map(([, version]) => version);
}

/** The version that gets all that is new, where no worker polls for it: nothing goes on, and nothing begins. */
export async function unservedCurrent(
  temporal: Client,
  now = new Date(),
): Promise<DeploymentVersion | undefined> {
  const { pollers, current } = await pollersOf(temporal, CONTROL_QUEUE, 'workflows', now);
  const served = pollers.some(
    ({ deployment, buildId }) => deployment === current?.deployment && buildId === current?.buildId,
  );
  return served ? undefined : current;
}

const keyOf = ({ deployment, buildId }: DeploymentVersion): string => `${deployment}:${buildId}`;

/** Open runs of a plan that are bound to a version. Their VMs' children are on the same. */
async function pinnedRuns(
  temporal: Client,
  plan: string,
): Promise<{ workflowId: string; version: DeploymentVersion }[]> {
  // A plan's name has no character that a query knows.
  const query = `WorkflowId STARTS_WITH "lifeboat:${plan}:" AND TemporalWorkflowVersioningBehavior = "Pinned" AND ExecutionStatus = "Running"`;
  const found: { workflowId: string; version: DeploymentVersion }[] = [];
  for await (const { workflowId, runId, parentExecution } of temporal.workflow.list({ query })) {
    if (parentExecution !== undefined) continue;
    const version = await pinnedVersion(temporal, { workflowId, runId });
    if (version !== undefined) found.push({ workflowId, version });
    if (found.length === MOST_RUNS) break;
  }
  return found;
}

/** The version that a run ends on; undefined where it is bound to none, or is there no more. */
export async function pinnedVersion(
  temporal: Client,
  { workflowId, runId }: { workflowId: string; runId: string },
): Promise<DeploymentVersion | undefined> {
  try {
    const { raw } = await temporal.workflow.getHandle(workflowId, runId).describe();
    const { behavior, deploymentVersion } = raw.workflowExecutionInfo?.versioningInfo ?? {};
    const { deploymentName, buildId } = deploymentVersion ?? {};
    return Number(behavior ?? 0) === PINNED && deploymentName && buildId
      ? { deployment: deploymentName, buildId }
      : undefined;
  } catch (error) {
    if (error instanceof WorkflowNotFoundError) return undefined;
    throw error;
  }
}
