import { createHash } from 'node:crypto';
import { existsSync, readdirSync } from 'node:fs';
import { mkdir, rename, rm, stat, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { projectRoot } from '../../host/project-root';
import { toolOutput } from '../../host/run-tool';
import { type SandboxConfig } from '../config';
import { type ProcessSpec } from '../supervisor/supervised';
import { postgresqlAddress } from './members';

/** The database's own user, as in docker-compose.temporal.yml. */
export const DATABASE_USER = 'temporal';
export const DATABASE_PORT = '5432';
/**
 * Each of Temporal's services holds up to 30 connections for itself (SQL_MAX_CONNS, SQL_VIS_MAX_CONNS), and PostgreSQL lets 100 in
 * unless told otherwise.
 */
export const MAX_CONNECTIONS = '300';

/** PostgreSQL refuses to run as root. Debian and Ubuntu have both names, with nothing of their own. */
const AS_NOBODY = ['--reuid', 'nobody', '--regid', 'nogroup', '--clear-groups'];

const tree = (): string => join(projectRoot(), '.lifeboat', 'tools', 'postgresql');

/** What belongs to `nobody`: the data, and nothing else. */
export const postgresqlPaths = ({ directory }: Pick<SandboxConfig, 'directory'>) => ({
  home: join(directory, 'postgresql'),
  data: join(directory, 'postgresql', 'data'),
});

/** Set-up's PostgreSQL. @throws Error where there is none */
function program(name: string): string {
  const versions = join(tree(), 'usr/lib/postgresql');
  const [major] = existsSync(versions) ? readdirSync(versions) : [];
  if (major === undefined)
    throw new Error('There is no PostgreSQL in .lifeboat/tools: run node setup/cluster.mjs.');
  return join(versions, major, 'bin', name);
}

/** Its libraries, for a host that has not all of them. */
const environment = (): Record<string, string> => ({
  LD_LIBRARY_PATH: ['usr/lib', 'lib'].map((lib) => join(tree(), lib, 'x86_64-linux-gnu')).join(':'),
});

/** Of this sandbox alone; nothing but its own processes can reach the database. */
export const databasePassword = ({ secretAccessKey }: Pick<SandboxConfig, 'secretAccessKey'>): string =>
  createHash('sha256').update(`postgresql ${secretAccessKey}`).digest('hex').slice(0, 32);

/** The server, as a process of an unprivileged user. */
export function postgresqlProcess(config: SandboxConfig, log: string): ProcessSpec {
  const settings = {
    listen_addresses: postgresqlAddress(config),
    port: DATABASE_PORT,
    max_connections: MAX_CONNECTIONS,
    // It would be in /var/run, where nobody may write.
    unix_socket_directories: '',
  };
  return {
    name: 'postgresql',
    command: 'setpriv',
    args: [
      ...AS_NOBODY,
      program('postgres'),
      ...Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]),
      ...['-D', postgresqlPaths(config).data],
    ],
    env: environment(),
    log,
  };
}

/** Like "PostgreSQL 15.20 (Debian 15.20-0+deb12u1)". */
export async function postgresqlVersion(): Promise<string> {
  const text = await toolOutput(program('postgres'), ['--version'], { environment: environment() });
  return text.trim().replace(/^postgres \(PostgreSQL\)/, 'PostgreSQL');
}

/** Makes an empty database cluster where there is none; there all of it at once, or not at all. */
export async function ensureData(config: SandboxConfig): Promise<void> {
  const { home, data } = postgresqlPaths(config);
  if (existsSync(join(data, 'PG_VERSION'))) return;
  await mustBeOpen(program('postgres'));
  await mkdir(home, { recursive: true });
  await mustBeOpen(home);
  await toolOutput('chown', ['nobody:nogroup', home]);
  const fresh = `${data}.new`;
  const password = `${data}.password`;
  await rm(fresh, { recursive: true, force: true });
  await writeFile(password, databasePassword(config));
  await toolOutput('chown', ['nobody:nogroup', password]);
  const args = ['-D', fresh, '-U', DATABASE_USER, '--pwfile', password, '--auth', 'scram-sha-256'];
  const more = ['--encoding', 'UTF8', '--locale', 'C', '--no-instructions'];
  await toolOutput('setpriv', [...AS_NOBODY, program('initdb'), ...args, ...more], {
    environment: environment(),
    directory: '/',
    timeoutSeconds: 300,
  });
  await rm(password);
  await rename(fresh, data);
}

/**
 * Takes the data away from whoever works on it.
 * @param kill ends those
 */
export async function loseData(config: SandboxConfig, kill: () => Promise<void>): Promise<void> {
  const { data } = postgresqlPaths(config);
  const lost = `${data}.lost`;
  await rename(data, lost);
  await kill();
  // What the server leaves of its own processes goes by itself, a moment later.
  await rm(lost, { recursive: true, force: true, maxRetries: 10 });
}

/** Whether it answers: pg_isready(1). */
export async function postgresqlAnswers(config: SandboxConfig): Promise<boolean> {
  const args = ['--host', postgresqlAddress(config), '--port', DATABASE_PORT, '--username', DATABASE_USER];
  return toolOutput(program('pg_isready'), args, { environment: environment() }).then(
    () => true,
    () => false,
  );
}

/** Another user gets there only through directories that let everybody in. @throws Error that names the one that does not */
async function mustBeOpen(path: string): Promise<void> {
  for (let at = dirname(path); at !== dirname(at); at = dirname(at))
    if (((await stat(at)).mode & 0o001) === 0)
      throw new Error(
        `PostgreSQL runs as nobody, who cannot enter ${at}: chmod o+x ${at}, or work elsewhere.`,
      );
}
