import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { projectRoot } from '../host/project-root';
import { type Benchmark } from './benchmark';
import { type Behaviour } from './endpoint/main';
import { profileJobs } from './ours/run-job';
import { MissingPeerError } from './peers/coldsnap';
import { describeMachine } from './machine';
import { report } from './report';
import { runPairs } from './run';
import { Workspace } from './workspace';

/** Each loads what it needs, and no more. */
const BENCHMARKS: Record<string, { about: string; load: () => Promise<Benchmark> }> = {
  put: {
    about: 'a file into a snapshot by EBS direct, against coldsnap upload',
    load: async () => (await import('./benchmarks/put.js')).put,
  },
  restore: {
    about: 'repository to snapshot by EBS direct, against coldsnap uploading the plain file',
    load: async () => (await import('./benchmarks/restore.js')).restore,
  },
  incremental: {
    about: 'a restore of which 1 % has changed, against the full one',
    load: async () => (await import('./benchmarks/incremental.js')).incremental,
  },
  failback: {
    about: 'snapshot to the VMDK of a VM, against coldsnap download to a plain file',
    load: async () => (await import('./benchmarks/failback.js')).failback,
  },
  backup: {
    about: "a VM's disk into the backup repository, against restic backup of the same bytes",
    load: async () => (await import('./benchmarks/backup.js')).backup,
  },
  'vsphere-backup': {
    about: "a VM's disk into the backup repository through a simulated vCenter, against one in a directory",
    load: async () => (await import('./benchmarks/vsphere.js')).vsphereBackup,
  },
  'vsphere-failback': {
    about: 'snapshot to the disk of a VM of a simulated vCenter, against one in a directory',
    load: async () => (await import('./benchmarks/vsphere.js')).vsphereFailback,
  },
  scale: {
    about: 'a 1 TiB sparse disk with 2 GiB of data, and 50 disks at once: memory of the worker, CPU a block',
    load: async () => (await import('./benchmarks/scale.js')).scale,
  },
  resume: {
    about: 'a restore killed half-way (SIGKILL): blocks sent again, seconds until it goes on',
    load: async () => (await import('./benchmarks/resume.js')).resume,
  },
  adapt: {
    about:
      'a guest made ready for EC2 and taken home: seconds and memory by file system, debugfs against the appliance',
    load: async () => (await import('./benchmarks/adapt.js')).adapt,
  },
};

/** What is measured against AWS's limits instead of a peer, once. */
const FAILOVER = 'failover';
const VMS = 1000;
const VOLUME_VMS = 50;

const USAGE = `usage: npm run bench -- NAME [--json] [--pairs N] [--size-mib N] [--directory PATH] [--profile]
       npm run bench -- put|restore|failback [--latency-ms N] [--quota N] [--json] ...
       npm run bench -- failover [--json] [--vms N] [--volume-vms N] [--quick] [--directory PATH]

  --json        the last line of the output is the result, as JSON
  --pairs       timed pairs of runs, ours and the peer's; medians are told
  --size-mib    size of the disk
  --directory   where disks and the endpoints' state are kept (.lifeboat/bench)
  --profile     our side writes a CPU profile of each run into DIRECTORY/profiles (and is slower for it)
  --latency-ms  EBS direct answers each call after so many milliseconds; without a peer, as --quota
  --quota       block calls a second that EBS direct takes of each kind, and throttles beyond (AWS: 1000)
  --vms         VMs that fail over by launch copies (${VMS})
  --volume-vms  VMs that fail over by volumes, for comparison; 0 for none (${VOLUME_VMS})
  --quick       states take no time: to see that it works, not how fast

benchmarks:
${Object.entries(BENCHMARKS)
  .map(([name, { about }]) => `  ${name.padEnd(16)}  ${about}`)
  .join('\n')}
  ${FAILOVER.padEnd(16)}  VMs in four tiers on an account with EC2's times and limits, against the least that these allow
`;

/** A command line that cannot be carried out; the message says why. */
class UsageError extends Error {}

function wholeNumber(text: string | undefined, otherwise: number, what: string, least = 1): number {
  if (text === undefined) return otherwise;
  const number = Number(text);
  if (!Number.isSafeInteger(number) || number < least)
    throw new UsageError(`${what} must be a whole number from ${least}.`);
  return number;
}

function behaviourOf(values: { 'latency-ms'?: string; quota?: string }): Behaviour | undefined {
  const { 'latency-ms': latency, quota } = values;
  if (latency === undefined && quota === undefined) return undefined;
  return {
    latencyMs: wholeNumber(latency, 0, '--latency-ms', 0),
    ...(quota === undefined ? {} : { quotaPerSecond: wholeNumber(quota, 1, '--quota') }),
  };
}

/** Works in a workspace, and removes it, also on a signal. */
async function inWorkspace(root: string, work: (workspace: Workspace) => Promise<void>): Promise<void> {
  const workspace = await Workspace.create(root);
  for (const signal of ['SIGINT', 'SIGTERM'] as const)
    process.once(signal, () => void workspace.close().finally(() => process.exit(1)));
  try {
    await work(workspace);
  } finally {
    await workspace.close();
  }
}

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      json: { type: 'boolean', default: false },
      pairs: { type: 'string' },
      'size-mib': { type: 'string' },
      directory: { type: 'string' },
      profile: { type: 'boolean', default: false },
      'latency-ms': { type: 'string' },
      quota: { type: 'string' },
      vms: { type: 'string' },
      'volume-vms': { type: 'string' },
      quick: { type: 'boolean', default: false },
    },
  });
  const [name, ...more] = positionals;
  if (name === undefined) return void process.stdout.write(USAGE);
  const say = (line: string): void => void process.stderr.write(`${line}\n`);
  const root = resolve(values.directory ?? join(projectRoot(), '.lifeboat', 'bench'));
  if (name === FAILOVER && more.length === 0) {
    const vms = wholeNumber(values.vms, VMS, '--vms');
    const volumeVms = wholeNumber(values['volume-vms'], VOLUME_VMS, '--volume-vms', 0);
    const { failoverBenchmark, EC2_TIMES, QUICK_TIMES } = await import('./failover/benchmark.js');
    const { failoverReport } = await import('./failover/report.js');
    const times = values.quick ? QUICK_TIMES : EC2_TIMES;
    return inWorkspace(root, async (workspace) => {
      const found = await failoverBenchmark(workspace, { vms, volumeVms, times }, say);
      process.stdout.write(failoverReport(found, values.json));
    });
  }
  if (!Object.hasOwn(BENCHMARKS, name) || more.length > 0)
    throw new UsageError(`There is no benchmark "${positionals.join(' ')}".`);
  const benchmark = await BENCHMARKS[name]!.load();
  const pairs = wholeNumber(values.pairs, benchmark.pairs, '--pairs');
  const sizeMiB = wholeNumber(values['size-mib'], benchmark.sizeMiB, '--size-mib');
  const behaviour = behaviourOf(values);
  if (behaviour !== undefined && benchmark.behaves !== true)
    throw new UsageError(`--latency-ms and --quota are not for "${name}".`);
  if (values.profile) profileJobs(join(root, 'profiles'));
  await inWorkspace(root, async (workspace) => {
    say(`preparing ${name}: a disk of ${sizeMiB} MiB`);
    const prepared = await benchmark.prepare(workspace, { sizeMiB, pairs, behaviour });
    const sides = await runPairs(prepared, pairs, say);
    const ceiling = (await prepared.ceiling?.()) ?? null;
    const machine = await describeMachine();
    process.stdout.write(report({ name, sizeMiB, pairs, prepared, sides, ceiling, machine }, values.json));
  });
}

main().catch((error: unknown) => {
  const expected = error instanceof UsageError || error instanceof MissingPeerError;
  console.error(expected ? `bench: ${error.message}` : error);
  if (error instanceof UsageError) console.error(USAGE);
  process.exitCode = 1;
});
