import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { type SandboxConfig } from './config';
import { removeSiteLink } from './cluster/site-link';
import { siteOf } from './datacenter/site-of';
import { removeSegment } from '../machines/network/segment';
import { endProcess } from '../host/pid-file';
import { listIfExists, readIfExists } from '../host/if-exists';
import { launchCopies } from '../activities/aws-proxy/restore/launch-copy';
import { rehearsals } from '../activities/backup-proxy/rehearsal';
import { killMachine } from '../machines/machine';
import { sweepScratchDisks } from '../machines/scratch-disk';
import { SEGMENTS } from './segments';
import { sandboxPaths, sandboxProcesses, stateDirectories } from './supervisor/processes';
import { supervisorReport } from './supervisor/report';

/** Long enough for the supervisor to stop its processes one after another, each with its own grace. */
const SUPERVISOR_GRACE_MILLISECONDS = 60_000;
/** Of a cluster there are twelve more. */
const CLUSTER_GRACE_MILLISECONDS = 240_000;

/**
 * Stops the supervisor, every machine and every network of the sandbox. Works as well when the supervisor was killed
 * and left its processes behind: they are known by its last report and by their command lines.
 */
export async function takeDown(
  config: SandboxConfig,
  supervisorScript: string,
  log: (line: string) => void,
): Promise<void> {
  const paths = sandboxPaths(config);
  log('stopping the workers, the Temporal server and the AWS endpoint');
  const grace = config.cluster === true ? CLUSTER_GRACE_MILLISECONDS : SUPERVISOR_GRACE_MILLISECONDS;
  const supervisor = await readIfExists(paths.supervisorPid);
  if (supervisor) await endProcess(Number(supervisor), supervisorScript, grace);

  const specs = sandboxProcesses(config);
  for (const { name, pid } of await supervisorReport(config)) {
    const spec = specs.find((one) => one.name === name);
    // The last: what comes first may be of a program that has made way for another.
    const marker = spec?.args.findLast((arg) => arg.includes('/')) ?? spec?.command;
    if (pid !== undefined && marker) await endProcess(pid, marker);
  }

  for (const directory of stateDirectories(config, 'backup-proxy'))
    await sweepScratchDisks(rehearsals(directory));
  for (const directory of stateDirectories(config, 'aws-proxy'))
    await sweepScratchDisks(launchCopies(directory));

  log('powering the machines off');
  await siteOf(config).stop();
  const instances = join(paths.aws, 'ec2', 'machines');
  for (const name of await listIfExists(instances)) await killMachine(join(instances, name));

  log('removing the networks');
  for (const { name } of SEGMENTS) await removeSegment(config.network, name);
  if (config.cluster === true) await removeSiteLink(config);
  await rm(config.network.runDirectory, { recursive: true, force: true });
  await rm(paths.supervisorPid, { force: true });
  await rm(paths.supervisorReport, { force: true });
}
