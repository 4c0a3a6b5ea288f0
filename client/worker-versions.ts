import { type Client, isGrpcServiceError } from '@temporalio/client';
import { setTimeout as sleep } from 'node:timers/promises';
import { pollersOf, secondsOf, type Timestamp } from '../activities/control/workers/pollers';
import { pinnedVersion as versionOfRun } from '../activities/control/workers/unserved-versions';
import { CONTROL_QUEUE } from '../activities/task-queues';
import { runOfWorkflow } from '../workflows/run/ids';

/** WorkerDeploymentVersionStatus of temporal.api.enums.v1, by its numbers. */
const STATUSES = ['unknown', 'inactive', 'current', 'ramping', 'draining', 'drained', 'inactive'] as const;
/** RoutingConfigUpdateState IN_PROGRESS of temporal.api.enums.v1. */
const ROUTING_IN_PROGRESS = 1;
/** gRPC status codes. */
const NOT_FOUND = 5;
const PERMISSION_DENIED = 7;
const FAILED_PRECONDITION = 9;
const UNIMPLEMENTED = 12;

/** Seconds that the server may take to tell all task queues of another current version. */
const ROUTING_SECONDS = 30;
const ROUTING_LOOK_MS = 200;

/** One version of the control workers, as the Temporal server knows it. */
export interface WorkerVersion {
  buildId: string;
  /** `inactive`: it was never current. `draining`: it was, and as the server knows has runs; it learns of the last's end minutes later. */
  status: (typeof STATUSES)[number];
  /** ISO 8601, UTC: when it became what it is; undefined where the server does not say. */
  since: string | undefined;
  /** Ids of the runs under way that end on it. */
  pinnedRuns: string[];
  /** Workers that poll. */
  workers: string[];
}

export interface WorkerVersions {
  deployment: string;
  /** Build id of the version that new runs get; undefined where they get workers without a deployment. */
  current: string | undefined;
  /** The newest first. */
  versions: WorkerVersion[];
  /** Workers that poll, and belong to no deployment, or to another. */
  others: string[];
}

/** There is no such deployment or version, or the server has none at all, or it cannot be promoted. */
export class DeploymentError extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'DeploymentError';
  }
}

/** The versions of the control workers. @throws DeploymentError */
export async function workerVersions(temporal: Client, deployment: string): Promise<WorkerVersions> {
  const { workerDeploymentInfo: info } = await describe(temporal, deployment);
  const { pollers: polling } = await pollersOf(temporal, CONTROL_QUEUE, 'workflows');
  const versions: WorkerVersion[] = [];
  for (const summary of info?.versionSummaries ?? []) {
    const { deploymentVersion, status, createTime, routingUpdateTime } = summary;
    const buildId = deploymentVersion?.buildId ?? '';
    versions.push({
      buildId,
      status: STATUSES[Number(status ?? 0)] ?? 'unknown',
      since: isoOf(routingUpdateTime ?? createTime),
      pinnedRuns: await pinnedRuns(temporal, deployment, buildId),
      workers: polling
        .filter((worker) => worker.deployment === deployment && worker.buildId === buildId)
        .map(({ identity }) => identity),
    });
  }
  return {
    deployment,
    current: info?.routingConfig?.currentDeploymentVersion?.buildId ?? undefined,
    versions,
    others: polling.filter((worker) => worker.deployment !== deployment).map(({ identity }) => identity),
  };
}

/**
 * Makes a version of the control workers the one that gets what is new, and all that is not pinned.
 * @param buildId undefined: workers that belong to no deployment
 * @returns what was current before; undefined where that was workers without a deployment
 * @throws DeploymentError where there is none, or nobody polls for it
 */
export async function promoteVersion(
  temporal: Client,
  deployment: string,
  buildId: string | undefined,
): Promise<{ previous: string | undefined }> {
  const { workerDeploymentInfo: info, conflictToken } = await describe(temporal, deployment);
  const previous = info?.routingConfig?.currentDeploymentVersion?.buildId ?? undefined;
  if (previous === buildId) return { previous };
  await asked(deployment, () =>
    temporal.workflowService.setWorkerDeploymentCurrentVersion({
      namespace: temporal.options.namespace,
      deploymentName: deployment,
      buildId: buildId ?? '',
      conflictToken,
      identity: temporal.options.identity,
    }),
  );
  await untilRouted(temporal, deployment);
  return { previous };
}

/** A run that is started after this goes to the new version. */
async function untilRouted(temporal: Client, deployment: string): Promise<void> {
  const deadline = Date.now() + ROUTING_SECONDS * 1000;
  while (Date.now() < deadline) {
    const { workerDeploymentInfo } = await describe(temporal, deployment);
    if (Number(workerDeploymentInfo?.routingConfigUpdateState ?? 0) !== ROUTING_IN_PROGRESS) return;
    await sleep(ROUTING_LOOK_MS);
  }
}

const describe = (temporal: Client, deployment: string) =>
  asked(deployment, () =>
    temporal.workflowService.describeWorkerDeployment({
      namespace: temporal.options.namespace,
      deploymentName: deployment,
    }),
  );

async function asked<T>(deployment: string, ask: () => Promise<T>): Promise<T> {
  try {
    return await ask();
  } catch (error) {
    if (!isGrpcServiceError(error)) throw error;
    const message = messageOf(deployment, error.code, error.details);
    if (message === undefined) throw error;
    throw new DeploymentError(message, { cause: error });
  }
}

function messageOf(deployment: string, code: number, details: string): string | undefined {
  if (code === NOT_FOUND)
    return `Temporal knows no such version (${details}). Control workers with LIFEBOAT_DEPLOYMENT=${deployment} register when they start; lifeboat worker versions --deployment ${deployment} lists them.`;
  if (code === FAILED_PRECONDITION)
    return `Temporal does not make it current (${details}). Start a control worker of that version first.`;
  if (code === UNIMPLEMENTED || (code === PERMISSION_DENIED && /deployment/i.test(details)))
    return `This Temporal server has no worker deployments, or does not let us see them (${details}).`;
  return undefined;
}

/** Runs under way that end on a version: of a run and its VMs' children, the run. */
async function pinnedRuns(temporal: Client, deployment: string, buildId: string): Promise<string[]> {
  const version = JSON.stringify(`${deployment}:${buildId}`);
  const query = `TemporalWorkerDeploymentVersion = ${version} AND TemporalWorkflowVersioningBehavior = "Pinned" AND ExecutionStatus = "Running"`;
  const runs = new Set<string>();
  for await (const { workflowId } of temporal.workflow.list({ query }))
    runs.add(runOfWorkflow(workflowId).workflowId);
  return [...runs].sort();
}

/** Build id of the version that a run ends on; undefined where it is bound to none. */
export async function pinnedVersion(
  temporal: Client,
  run: { workflowId: string; runId: string },
): Promise<string | undefined> {
  return (await versionOfRun(temporal, run))?.buildId;
}

const isoOf = (time: Timestamp | null | undefined): string | undefined =>
  time == null ? undefined : new Date(secondsOf(time) * 1000).toISOString();
