import { rm } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { type SandboxConfig } from '../config';
import { siteOf } from '../datacenter/site-of';
import { workersOf } from '../cluster/workers';
import { supervisorReport } from '../supervisor/report';
import { pidRuns, sendSignal, waitForEnd } from '../../host/pid-file';
import { stateDirectories } from '../supervisor/processes';
import { prove } from './steps';

/** The supervisor waits a second before it starts a process again; a busy machine takes some more. */
const RESTART_SECONDS = 60;
/** A killed process is gone as soon as the system comes round to it. */
const KILL_MILLISECONDS = 10_000;

/** Makes the data centre anew, where the old one was. @throws Error where it is not empty */
export async function openNewDatacenter(config: SandboxConfig): Promise<void> {
  const site = siteOf(config);
  await site.open();
  await site.untilServing();
  const vms = (await site.list()).map(({ name }) => name);
  prove(vms.length === 0, `the new data centre holds ${vms.join(' and ')}.`);
}

/**
 * Kills the backup proxies' workers, deletes all that they kept, and waits until the supervisor has started others, which
 * have nothing but their connection settings.
 * @returns their pids
 */
export async function startBackupProxiesAfresh(config: SandboxConfig): Promise<number[]> {
  const names = workersOf(config).flatMap(({ name, role }) => (role === 'backup-proxy' ? [name] : []));
  const old = await Promise.all(names.map((name) => kill(config, name)));
  for (const directory of stateDirectories(config, 'backup-proxy'))
    await rm(directory, { recursive: true, force: true });
  return Promise.all(names.map((name, n) => startedAgain(config, name, old[n] ?? 0)));
}

/** @returns the pid that it had */
async function kill(config: SandboxConfig, name: string): Promise<number> {
  const pid = await pidOf(config, name);
  // By its role in its command line, too: pids come again.
  prove(pid !== undefined && (await pidRuns(pid, 'backup-proxy')), 'no backup proxy runs.');
  sendSignal(pid, 'SIGKILL');
  prove(await waitForEnd(pid, 'backup-proxy', KILL_MILLISECONDS), 'the backup proxy does not die.');
  return pid;
}

async function startedAgain(config: SandboxConfig, name: string, old: number): Promise<number> {
  for (let waited = 0; waited < RESTART_SECONDS * 10; waited++) {
    await sleep(100);
    const pid = await pidOf(config, name);
    if (pid !== undefined && pid !== old && (await pidRuns(pid, 'backup-proxy'))) return pid;
  }
  throw new Error(`The supervisor did not start the backup proxy again in ${RESTART_SECONDS} s.`);
}

async function pidOf(config: SandboxConfig, wanted: string): Promise<number | undefined> {
  return (await supervisorReport(config)).find(({ name }) => name === wanted)?.pid;
}
