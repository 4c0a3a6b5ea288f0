import { setTimeout as sleep } from 'node:timers/promises';
import { type SandboxConfig } from '../../sandbox/config';
import { temporalMembers } from '../../sandbox/cluster/members';
import { workersOf } from '../../sandbox/cluster/workers';
import { runningPid } from '../../host/pid-file';
import { vcenterPidFile } from '../../sandbox/datacenter/vcenter-places';
import { simulatorProgram } from '../../sandbox/vcenter/simulator';
import { supervisorReport } from '../../sandbox/supervisor/report';
import { type SeededRandom } from './random';

/** Processes that die, the workers more often than what they talk to. */
const VICTIMS = [
  'worker-control',
  'worker-aws-proxy',
  'worker-aws-proxy',
  'worker-backup-proxy',
  'worker-backup-proxy',
  'temporal',
  'aws',
] as const;

/** Milliseconds between two kills at first: a worker needs some two seconds to be there again. */
const PAUSE_MS = { low: 2000, high: 8000 };
/** On a cluster, whose server is some ten seconds about taking over what a process of it held. */
const CLUSTER_PAUSE_MS = { low: 4000, high: 14_000 };

/** As {@link VICTIMS}: whoever dies, another of its kind is left, but for the database. */
function clusterVictims(config: SandboxConfig): string[] {
  const workers = workersOf(config).map(({ name }) => name);
  return [
    ...workers,
    ...workers,
    ...temporalMembers(config).map(({ name }) => name),
    'postgresql',
    'postgresql',
    'aws',
  ];
}

/**
 * The pauses double in this time, and go on growing: what cannot be gone on with but by doing it again, as the
 * adaptation of a guest (half a minute beside seven others), would otherwise never end once it falls to the kills.
 */
const DOUBLED_AFTER_MS = 120_000;

/** Sends SIGKILL to a process of the sandbox now and then, until told to stop. @returns whom, each time */
export async function killNowAndThen(
  config: SandboxConfig,
  random: SeededRandom,
  signal: AbortSignal,
  log: (line: string) => void,
): Promise<string[]> {
  const cluster = config.cluster === true;
  const pause = cluster ? CLUSTER_PAUSE_MS : PAUSE_MS;
  const victims = [
    ...(cluster ? clusterVictims(config) : VICTIMS),
    ...(config.dataCentre === 'vsphere' ? [VCENTER, VCENTER] : []),
  ];
  const began = Date.now();
  const killed: string[] = [];
  for (;;) {
    const victim = random.pick(victims);
    try {
      const growth = 1 + (Date.now() - began) / DOUBLED_AFTER_MS;
      await sleep(growth * random.between(pause.low, pause.high), undefined, { signal });
    } catch {
      return killed;
    }
    const pid = await pidOf(config, victim);
    // It has been killed a moment ago, and is not there again.
    if (pid === undefined) continue;
    try {
      process.kill(pid, 'SIGKILL');
      killed.push(victim);
      log(`killed ${victim}`);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
    }
  }
}

const VCENTER = 'vcenter';

async function pidOf(config: SandboxConfig, name: string): Promise<number | undefined> {
  // The process that the supervisor knows is the host's, whose end would be that of its VMs.
  if (name === VCENTER) return runningPid(vcenterPidFile(config), simulatorProgram());
  return (await supervisorReport(config)).find((report) => report.name === name)?.pid;
}
