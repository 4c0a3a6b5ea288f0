import { Connection } from '@temporalio/client';
import { loadClientConnectConfig } from '@temporalio/envconfig';
import { NativeConnection, Worker } from '@temporalio/worker';
import { setTimeout as sleep } from 'node:timers/promises';
import { joinDeployment, requireDeployments } from './deployment';
import { queueWorkers, type QueueWorker, type Role } from './roles';
import { registerSearchAttributes } from './search-attributes';
import { SettingsError, workerSettings } from './settings';
import { tellsTrouble } from './trouble';

/** Between two tries to reach a Temporal server that is not there (yet). */
const RECONNECT_SECONDS = 2;

/**
 * Runs a role's workers until the process gets SIGINT or SIGTERM; then lets them finish what they can in a few
 * seconds. What they cannot, another worker goes on with.
 * @throws SettingsError where the environment lacks something, or the server what it asks for
 */
export async function runWorker(role: Role): Promise<void> {
  const { identity, build } = workerSettings(role);
  const workers = queueWorkers(role);
  const version = workers.find((worker) => worker.workerDeploymentOptions)?.workerDeploymentOptions?.version;
  const { connectionOptions, namespace = 'default' } = loadClientConnectConfig();
  console.log(
    `Lifeboat ${build}: ${identity}${version === undefined ? '' : `, of ${version.deploymentName}`}`,
  );

  const connection = await untilReachable(async () => {
    const client = await Connection.connect(connectionOptions);
    try {
      await registerSearchAttributes(client, namespace);
      if (version !== undefined) await requireDeployments(client, namespace, version.deploymentName);
    } finally {
      await client.close();
    }
    return NativeConnection.connect(connectionOptions);
  });
  try {
    const running = await Promise.all(
      workers.map(({ atStart: _, ...worker }) =>
        Worker.create({
          ...worker,
          connection,
          namespace,
          identity,
          interceptors: { activity: [tellsTrouble] },
          shutdownGraceTime: '5 seconds',
          // A copy of a dead worker resumes where its last recorded heartbeat was: a second of work, not ten.
          maxHeartbeatThrottleInterval: '1 second',
          defaultHeartbeatThrottleInterval: '1 second',
        }),
      ),
    );
    const ended = new AbortController();
    const working = Promise.all(running.map((worker) => worker.run())).finally(() => ended.abort());
    const joined =
      version &&
      joinDeployment(() => Connection.connect(connectionOptions), namespace, version, ended.signal);
    await Promise.all([working, joined, ...workers.map(clearLeftovers)]);
  } finally {
    await connection.close();
  }
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

/** A site that cannot be reached now keeps no worker from its work: each backup clears what is in its way once more. */
async function clearLeftovers({ atStart }: QueueWorker): Promise<void> {
  try {
    for (const line of (await atStart?.()) ?? []) console.log(line);
  } catch (error) {
    console.error(`What earlier workers have left could not be cleared: ${messageOf(error)}`);
  }
}

/** A worker outlives its server, and may be started before it. */
async function untilReachable<T>(connect: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await connect();
    } catch (error) {
      if (error instanceof SettingsError) throw error;
      console.error(`Temporal is not reachable, trying again: ${messageOf(error)}`);
      await sleep(RECONNECT_SECONDS * 1000);
    }
  }
}
