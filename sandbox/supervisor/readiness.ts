import { GetCallerIdentityCommand, STSClient } from '@aws-sdk/client-sts';
import { Connection } from '@temporalio/client';
import { setTimeout as sleep } from 'node:timers/promises';
import { messageOf } from '../../host/message-of';
import { type SandboxConfig } from '../config';
import { AWS_PROXY_QUEUE, BACKUP_PROXY_QUEUE, CONTROL_QUEUE } from '../../activities/task-queues';
import { clientEnvironment, sandboxPaths, TEMPORAL_NAMESPACE } from './processes';

/** The Temporal server makes its database at the first start; a busy machine needs some seconds more. */
const PATIENCE_SECONDS = 120;
/** A cluster is eight processes more, which find each other first. */
const CLUSTER_PATIENCE_SECONDS = 360;
/** TaskQueueType of temporal.api.enums.v1. */
const WORKFLOW_QUEUE = 1;
const ACTIVITY_QUEUE = 2;

/** Waits until the AWS endpoint answers, the Temporal server serves, and each worker polls. */
export async function waitUntilServing(config: SandboxConfig): Promise<void> {
  const patience = config.cluster === true ? CLUSTER_PATIENCE_SECONDS : PATIENCE_SECONDS;
  await eventually(patience, config, 'the AWS endpoint', async () => {
    const client = new STSClient({
      region: config.region,
      endpoint: `http://127.0.0.1:${config.ports.aws}`,
      credentials: { accessKeyId: config.accessKeyId, secretAccessKey: config.secretAccessKey },
      maxAttempts: 1,
    });
    await client.send(new GetCallerIdentityCommand({})).finally(() => client.destroy());
    return true;
  });
  await eventually(patience, config, 'the Temporal server and the workers', async () => {
    const connection = await Connection.connect({
      address: clientEnvironment(config).TEMPORAL_ADDRESS,
      connectTimeout: '2s',
    });
    try {
      // All are waited for, also where one fails: a call that tries again on a closed connection throws at nobody.
      const polled = await Promise.allSettled([
        isPolled(connection, CONTROL_QUEUE, WORKFLOW_QUEUE),
        isPolled(connection, AWS_PROXY_QUEUE, ACTIVITY_QUEUE),
        isPolled(connection, BACKUP_PROXY_QUEUE, ACTIVITY_QUEUE),
      ]);
      const failed = polled.find((outcome) => outcome.status === 'rejected');
      if (failed !== undefined) throw failed.reason;
      return polled.every((outcome) => outcome.status === 'fulfilled' && outcome.value);
    } finally {
      await connection.close();
    }
  });
}

async function isPolled(connection: Connection, name: string, taskQueueType: number): Promise<boolean> {
  const { pollers } = await connection.workflowService.describeTaskQueue({
    namespace: TEMPORAL_NAMESPACE,
    taskQueue: { name },
    taskQueueType,
  });
  return (pollers?.length ?? 0) > 0;
}

async function eventually(
  seconds: number,
  config: SandboxConfig,
  what: string,
  check: () => Promise<boolean>,
): Promise<void> {
  const deadline = Date.now() + seconds * 1000;
  let last: unknown = 'it does not say why';
  while (Date.now() < deadline) {
    try {
      if (await check()) return;
      last = 'not all workers poll';
    } catch (error) {
      last = error;
    }
    await sleep(300);
  }
  const reason = messageOf(last);
  throw new Error(
    `In ${seconds} s ${what} did not come up (${reason}); the logs are in ${sandboxPaths(config).logs}.`,
  );
}
