import { Connection } from '@temporalio/client';
import { loadClientConnectConfig } from '@temporalio/envconfig';
import { NativeConnection, Worker } from '@temporalio/worker';
import { setTimeout as sleep } from 'node:timers/promises';
import { queueWorkers, type QueueWorker, type Role } from './roles';
import { registerSearchAttributes } from './search-attributes';
import { workerSettings } from './settings';
import { tellsTrouble } from './trouble';

/** Between two tries to reach a Temporal server that is not there (yet). */
const RECONNECT_SECONDS = 2;

/**
 * Runs a role's workers until the process gets SIGINT or SIGTERM; then lets them finish what they can in a few
 * seconds. What they cannot, another worker goes on with.
 * @throws SettingsError where the environment lacks something
 */
export async function runWorker(role: Role): Promise<void> {
  const { identity } = workerSettings(role);
  const workers = queueWorkers(role);
  const { connectionOptions, namespace = 'default' } = loadClientConnectConfig();

  const connection = await untilReachable(async () => {
    const client = await Connection.connect(connectionOptions);
    try {
      await registerSearchAttributes(client, namespace);
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
    await Promise.all([...running.map((worker) => worker.run()), ...workers.map(clearLeftovers)]);
  } finally {
    await connection.close();
  }
}

/** A site that cannot be reached now keeps no worker from its work: each backup clears what is in its way once more. */
async function clearLeftovers({ atStart }: QueueWorker): Promise<void> {
  try {
    for (const line of (await atStart?.()) ?? []) console.log(line);
  } catch (error) {
    console.error(
      `What earlier workers have left could not be cleared: ${error instanceof Error ? error.message : String(error)}`,
    );
  }
}

/** A worker outlives its server, and may be started before it. */
async function untilReachable<T>(connect: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await connect();
    } catch (error) {
      console.error(
        `Temporal is not reachable, trying again: ${error instanceof Error ? error.message : String(error)}`,
      );
      await sleep(RECONNECT_SECONDS * 1000);
    }
  }
}
