import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Connection } from '@temporalio/client';
import { msToTs } from '@temporalio/common/lib/time';
import { type SandboxConfig } from '../config';
import { frontends } from './members';
import { ensureData, postgresqlAnswers, postgresqlProcess } from './postgresql';
import { ensureSiteLink } from './site-link';
import { DYNAMIC_CONFIGURATION, dynamicConfigurationFile, ensureSchemas, RETENTION_HOURS } from './temporal';

/** Seconds for a database that was killed to replay its log, or a server to take its shards over, on two busy cores. */
const PATIENCE_SECONDS = 300;
/** gRPC status codes. */
const ALREADY_EXISTS = 6;

/** What has to be there before the supervisor starts the cluster: its files, the database with its schemas, the site's wire. */
export async function prepareCluster(config: SandboxConfig): Promise<void> {
  const file = dynamicConfigurationFile(config);
  await mkdir(dirname(file), { recursive: true });
  await writeFile(file, DYNAMIC_CONFIGURATION);
  await ensureSiteLink(config);
  await ensureData(config);
  const { command, args, env } = postgresqlProcess(config, join(config.directory, 'logs', 'postgresql.log'));
  const server = spawn(command, args, { env: { ...process.env, ...env }, stdio: 'ignore' });
  try {
    await ensureSchemasOnceUp(config, () => server.exitCode === null);
  } finally {
    // Fast shutdown (pg_ctl(1)).
    const ended = server.exitCode === null ? once(server, 'exit') : Promise.resolve();
    server.kill('SIGINT');
    await ended;
  }
}

/** Waits for the database, and brings its schemas up to the server's. @param goesOn whether there is anything to wait for */
export async function ensureSchemasOnceUp(
  config: SandboxConfig,
  goesOn: () => boolean = () => true,
): Promise<void> {
  await within('PostgreSQL', async () => {
    if (!goesOn()) throw new StoppedError('PostgreSQL has ended; the reason is in its log.');
    return postgresqlAnswers(config);
  });
  await ensureSchemas(config);
}

/** Creates the namespace where it is missing, once a frontend serves. */
export async function ensureNamespace(config: SandboxConfig, namespace: string): Promise<void> {
  const [address] = frontends(config);
  await within('the Temporal server', async () => {
    const connection = await Connection.connect({ address: address as string, connectTimeout: '2s' });
    try {
      await connection.workflowService.registerNamespace({
        namespace,
        workflowExecutionRetentionPeriod: msToTs(RETENTION_HOURS * 3_600_000),
      });
    } catch (error) {
      if ((error as { code?: number }).code !== ALREADY_EXISTS) throw error;
    } finally {
      await connection.close();
    }
    return true;
  });
}

/** There is nothing to wait for any more. */
class StoppedError extends Error {}

async function within(what: string, check: () => Promise<boolean>): Promise<void> {
  const deadline = Date.now() + PATIENCE_SECONDS * 1000;
  let last: unknown;
  while (Date.now() < deadline) {
    try {
      if (await check()) return;
    } catch (error) {
      if (error instanceof StoppedError) throw error;
      last = error;
    }
    await sleep(300);
  }
  throw new Error(`In ${PATIENCE_SECONDS} s ${what} did not answer.`, { cause: last });
}
