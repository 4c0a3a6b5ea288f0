import { type Connection, isGrpcServiceError } from '@temporalio/client';
import { type WorkerDeploymentVersion } from '@temporalio/common';
import { setTimeout as sleep } from 'node:timers/promises';
import { SettingsError } from './settings';

/** gRPC status codes. */
const NOT_FOUND = 5;
const PERMISSION_DENIED = 7;
const FAILED_PRECONDITION = 9;
const UNIMPLEMENTED = 12;

/** Milliseconds between two looks: the server knows a version by its first poll, some hundredths of a second after the start. */
const LOOK_MS = 500;

const codeOf = (error: unknown): number | undefined => (isGrpcServiceError(error) ? error.code : undefined);

/**
 * To be asked before a worker polls as part of a deployment: where the server has none, it would wait for work for ever.
 * @throws SettingsError
 */
export async function requireDeployments(
  connection: Connection,
  namespace: string,
  deploymentName: string,
): Promise<void> {
  try {
    await connection.workflowService.describeWorkerDeployment({ namespace, deploymentName });
  } catch (error) {
    const code = codeOf(error);
    if (code === NOT_FOUND) return;
    if (code !== PERMISSION_DENIED && code !== UNIMPLEMENTED) throw error;
    const told = isGrpcServiceError(error) ? error.details : '';
    throw new SettingsError([
      `LIFEBOAT_DEPLOYMENT needs a Temporal server with worker deployments (1.28 or later, where they are not switched off), and one that lets this worker see them ("${told}"); without the variable the worker runs as ever`,
    ]);
  }
}

/**
 * Looks what a worker that has begun to poll is to its deployment, and says so. The first version of a deployment makes itself current,
 * so that a new Temporal server needs nobody who does; after that, people decide.
 */
export async function joinDeployment(
  connect: () => Promise<Connection>,
  namespace: string,
  version: WorkerDeploymentVersion,
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted) {
    try {
      const connection = await connect();
      try {
        const standing = await standingOf(connection, namespace, version);
        if (standing !== undefined) return console.log(standing);
      } finally {
        await connection.close();
      }
    } catch (error) {
      if (signal.aborted) return;
      const message = isGrpcServiceError(error) ? error.details : String(error);
      console.error(`Whether ${version.buildId} is current is not known: ${message}`);
      // It works all the same, as far as it is let.
      if (codeOf(error) === PERMISSION_DENIED) return;
    }
    await sleep(LOOK_MS, undefined, { signal }).catch(() => undefined);
  }
}

/** @returns undefined where that is not decided yet */
async function standingOf(
  { workflowService }: Connection,
  namespace: string,
  { deploymentName, buildId }: WorkerDeploymentVersion,
): Promise<string | undefined> {
  try {
    const { workerDeploymentInfo, conflictToken } = await workflowService.describeWorkerDeployment({
      namespace,
      deploymentName,
    });
    const { routingConfig, versionSummaries } = workerDeploymentInfo ?? {};
    // The server gets to know a version by its first poll.
    if (versionSummaries?.some(({ deploymentVersion }) => deploymentVersion?.buildId === buildId) !== true)
      return undefined;
    const current = routingConfig?.currentDeploymentVersion?.buildId;
    if (current === buildId) return `${buildId} is the current version of ${deploymentName}.`;
    if (routingConfig?.currentVersionChangedTime != null)
      return `${buildId} is not the current version of ${deploymentName}; that is ${current ?? 'none'}. It goes on with runs that it began, and gets no others before: lifeboat worker promote ${buildId} --deployment ${deploymentName}`;
    await workflowService.setWorkerDeploymentCurrentVersion({
      ...{ namespace, deploymentName, buildId, conflictToken },
      identity: 'lifeboat worker control',
    });
    return `${buildId} is the first version of ${deploymentName}, and has made itself current.`;
  } catch (error) {
    // The server does not know it yet, or another worker was quicker.
    if (codeOf(error) === NOT_FOUND || codeOf(error) === FAILED_PRECONDITION) return undefined;
    throw error;
  }
}
