import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { projectRoot } from '../../host/project-root';
import { ToolFailedError, toolOutput } from '../../host/run-tool';
import { type SandboxConfig } from '../config';
import { type ProcessSpec } from '../supervisor/supervised';
import { type Member, postgresqlAddress, temporalMembers } from './members';
import { DATABASE_PORT, DATABASE_USER, databasePassword } from './postgresql';

/**
 * The Temporal server as docker-compose.temporal.yml runs it: the same program, told the same by the same variables. A test compares
 * both. Other than there, each service is a process of its own, and some are there twice.
 */

/** Cannot be changed in the life of a database. */
export const HISTORY_SHARDS = '512';
/** The plugin's name for PostgreSQL from 12 on. */
export const SQL_PLUGIN = 'postgres12';
/** Databases, each with the name of its schema. */
export const DATABASES = { temporal: 'temporal', temporal_visibility: 'visibility' };
export const schemaOf = (name: string): string => `postgresql/v12/${name}`;
/** Hours that a run is kept after its end. */
export const RETENTION_HOURS = 720;
/** The server wants the file; Lifeboat needs none of Temporal's settings changed. */
export const DYNAMIC_CONFIGURATION = '{}\n';

export const dynamicConfigurationFile = ({ directory }: Pick<SandboxConfig, 'directory'>): string =>
  join(directory, 'temporal', 'dynamic-config.yaml');

/** Set-up's program. @throws Error where there is none */
function program(name: 'temporal-server' | 'temporal-sql-tool'): string {
  const path = join(projectRoot(), '.lifeboat', 'tools', 'temporal', name);
  if (!existsSync(path))
    throw new Error('There is no Temporal server in .lifeboat/tools: run node setup/cluster.mjs.');
  return path;
}

/** What a member is told. */
export function serverEnvironment(config: SandboxConfig, { address }: Member): Record<string, string> {
  return {
    DB: SQL_PLUGIN,
    DB_PORT: DATABASE_PORT,
    POSTGRES_SEEDS: postgresqlAddress(config),
    POSTGRES_USER: DATABASE_USER,
    POSTGRES_PWD: databasePassword(config),
    BIND_ON_IP: address,
    // Members find each other through the database, by these.
    TEMPORAL_BROADCAST_ADDRESS: address,
    NUM_HISTORY_SHARDS: HISTORY_SHARDS,
    DYNAMIC_CONFIG_FILE_PATH: dynamicConfigurationFile(config),
    LOG_LEVEL: 'warn',
  };
}

/** All members, as processes that the supervisor keeps up. */
export function temporalProcesses(config: SandboxConfig, logs: string): ProcessSpec[] {
  return temporalMembers(config).map((member) => ({
    name: member.name,
    command: program('temporal-server'),
    args: ['--allow-no-auth', 'start', '--service', member.service],
    env: serverEnvironment(config, member),
    log: join(logs, `${member.name}.log`),
  }));
}

/** Like "1.31.0". */
export async function temporalVersion(): Promise<string> {
  const [, version] = /version (\S+)/.exec(await toolOutput(program('temporal-server'), ['--version'])) ?? [];
  if (version === undefined) throw new Error('The Temporal server does not tell its version.');
  return version;
}

/** Creates both databases and brings their schemas up to the server's. Creating what exists fails, which only the update may not. */
export async function ensureSchemas(config: SandboxConfig): Promise<void> {
  const environment = {
    SQL_PLUGIN,
    SQL_HOST: postgresqlAddress(config),
    SQL_PORT: DATABASE_PORT,
    SQL_USER: DATABASE_USER,
    SQL_PASSWORD: databasePassword(config),
  };
  const tool = (db: string, args: string[]): Promise<string> =>
    toolOutput(program('temporal-sql-tool'), ['--db', db, ...args], { environment, timeoutSeconds: 300 });
  for (const [db, schema] of Object.entries(DATABASES)) {
    await unlessThere(tool(db, ['create']));
    await unlessThere(tool(db, ['setup-schema', '-v', '0.0']));
    await tool(db, ['update-schema', '--schema-name', schemaOf(schema)]);
  }
}

async function unlessThere(done: Promise<unknown>): Promise<void> {
  await done.catch((error: unknown) => {
    if (!(error instanceof ToolFailedError && /already exists/.test(error.message))) throw error;
  });
}
