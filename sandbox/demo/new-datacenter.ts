import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type SandboxConfig } from '../config';
import { siteOf } from '../datacenter/site-of';
import { supervisorReport } from '../supervisor/report';
import { pidRuns, sendSignal, waitForEnd } from '../../host/pid-file';
import { sandboxPaths } from '../supervisor/processes';
import { prove } from './steps';

/** The supervisor waits a second before it starts a process again; a busy machine takes some more. */
const RESTART_SECONDS = 60;
/** A killed process is gone as soon as the system comes round to it. */
const KILL_MILLISECONDS = 10_000;
const BACKUP_PROXY = 'worker-backup-proxy';

/** Makes the data centre anew, where the old one was. @throws Error where it is not empty */
export async function openNewDatacenter(config: SandboxConfig): Promise<void> {
  const site = siteOf(config);
  await site.open();
  await site.untilServing();
  const vms = (await site.list()).map(({ name }) => name);
  prove(vms.length === 0, `the new data centre holds ${vms.join(' and ')}.`);
}

/**
 * Kills the backup proxy's worker, deletes all that it kept, and waits until the supervisor has started another, which
 * has nothing but its connection settings.
 * @returns its pid
 */
export async function startBackupProxyAfresh(config: SandboxConfig): Promise<number> {
  const old = await backupProxyPid(config);
  // By its role in its command line, too: pids come again.
  prove(old !== undefined && (await pidRuns(old, 'backup-proxy')), 'no backup proxy runs.');
  sendSignal(old, 'SIGKILL');
  prove(await waitForEnd(old, 'backup-proxy', KILL_MILLISECONDS), 'the backup proxy does not die.');
  await rm(join(sandboxPaths(config).proxies, 'backup-proxy'), { recursive: true, force: true });
  for (let waited = 0; waited < RESTART_SECONDS * 10; waited++) {
    await sleep(100);
    const pid = await backupProxyPid(config);
    if (pid !== undefined && pid !== old && (await pidRuns(pid, 'backup-proxy'))) return pid;
  }
  throw new Error(`The supervisor did not start the backup proxy again in ${RESTART_SECONDS} s.`);
}

async function backupProxyPid(config: SandboxConfig): Promise<number | undefined> {
  return (await supervisorReport(config)).find(({ name }) => name === BACKUP_PROXY)?.pid;
}
