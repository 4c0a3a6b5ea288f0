import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { roleEnvironment } from '../access/profiles';
import { CONTROL_ENVIRONMENT, WORKER_FLAGS } from '../../workers/node-flags';
import { BLOCK_SERVER_FLAGS } from '../aws/node-flags';
import { PROXY_AVAILABILITY_ZONE, PROXY_INSTANCE_ID, PROXY_INSTANCE_IDS } from '../aws/fixtures';
import { frontendOf } from '../cluster/members';
import { postgresqlProcess } from '../cluster/postgresql';
import { siteNamespace } from '../cluster/site-link';
import { temporalProcesses } from '../cluster/temporal';
import { type WorkerInstance, workersOf } from '../cluster/workers';
import { type SandboxConfig } from '../config';
import { relaySocket } from '../../machines/network/segment';
import { projectRoot } from '../../host/project-root';
import { SEGMENTS } from '../segments';
import { type ProcessSpec } from './supervised';

/** Where each part of the sandbox keeps its state. */
export const sandboxPaths = ({ directory }: Pick<SandboxConfig, 'directory'>) => ({
  aws: join(directory, 'aws'),
  datacenter: join(directory, 'datacenter'),
  devices: join(directory, 'devices'),
  /** Where vCenter is, as the backup proxy is told. */
  vcenterSettings: join(directory, 'vcenter.yaml'),
  temporal: join(directory, 'temporal'),
  logs: join(directory, 'logs'),
  proxies: join(directory, 'proxies'),
  awsConfig: join(directory, 'aws.json'),
  supervisorPid: join(directory, 'supervisor.pid'),
  supervisorReport: join(directory, 'supervisor.json'),
  /** Of a sandbox in which nothing boots: addresses of guests that do not answer. */
  silentGuests: join(directory, 'silent-guests.json'),
});

/** Who answers for all guests of a sandbox in which nothing boots. */
const answeringSocket = ({ network }: SandboxConfig): string => join(network.runDirectory, 'answers.sock');

export const TEMPORAL_NAMESPACE = 'lifeboat';
/** The backup repository of the sample plan, examples/shop/plan.yaml. */
export const SHOP_REPOSITORY = 's3://lifeboat-shop/dr';

/** Settings of everything that talks to the sandbox as it would to AWS and Temporal, as the account's root user. */
export function clientEnvironment(config: SandboxConfig): Record<string, string> {
  return {
    AWS_ENDPOINT_URL: `http://127.0.0.1:${config.ports.aws}`,
    AWS_REGION: config.region,
    AWS_ACCESS_KEY_ID: config.accessKeyId,
    AWS_SECRET_ACCESS_KEY: config.secretAccessKey,
    TEMPORAL_ADDRESS: temporalAddress(config, 0),
    TEMPORAL_NAMESPACE,
    LIFEBOAT_REPOSITORY: SHOP_REPOSITORY,
    // Whatever the shell has that started the sandbox.
    LIFEBOAT_CODEC_KEYS: '',
    LIFEBOAT_DNS_SERVERS: `127.0.0.1:${config.ports.dns}`,
  };
}

/** Where the n-th of some clients finds Temporal. */
const temporalAddress = (config: SandboxConfig, n: number): string =>
  config.cluster === true ? frontendOf(config, n) : `127.0.0.1:${config.ports.temporal}`;

/** Settings of the sandbox's workers: those of the clients, and where each site's machines and disks are. */
export function workerEnvironment(config: SandboxConfig): Record<string, string> {
  const paths = sandboxPaths(config);
  return {
    ...clientEnvironment(config),
    LIFEBOAT_STATE_DIRECTORY: paths.proxies,
    LIFEBOAT_HYPERVISOR:
      config.dataCentre === 'vsphere' ? `vsphere:${paths.vcenterSettings}` : `local:${paths.datacenter}`,
    LIFEBOAT_DEVICE_DIRECTORY: paths.devices,
    LIFEBOAT_PROXY_INSTANCE_ID: PROXY_INSTANCE_ID,
    LIFEBOAT_PROXY_AVAILABILITY_ZONE: PROXY_AVAILABILITY_ZONE,
    LIFEBOAT_DIAL: dialRoutes(config)
      .map(({ cidr, socket }) => `${cidr}=${socket}`)
      .join(','),
    LIFEBOAT_PACE: config.pace ?? 'usual',
  };
}

/** Which socket leads to the guests of a network. */
function dialRoutes(config: SandboxConfig): { cidr: string; socket: string }[] {
  const { network, runner, subnets = [] } = config;
  return runner === 'no-boot'
    ? [...SEGMENTS, ...subnets].map(({ cidr }) => ({ cidr, socket: answeringSocket(config) }))
    : SEGMENTS.map(({ name, cidr }) => ({ cidr, socket: relaySocket(network, name) }));
}

/** The Temporal CLI: the project's own, else the one on PATH. */
function temporalCommand(): string {
  const own = join(projectRoot(), '.lifeboat', 'tools', 'python', 'bin', 'temporal');
  return existsSync(own) ? own : 'temporal';
}

/** The processes that the supervisor keeps running. */
export function sandboxProcesses(config: SandboxConfig): ProcessSpec[] {
  const paths = sandboxPaths(config);
  const dist = join(projectRoot(), 'dist');
  const node = (
    name: string,
    script: string,
    args: string[],
    env: Record<string, string> = {},
    flags: readonly string[] = [],
  ): ProcessSpec => ({
    name,
    command: process.execPath,
    args: [...flags, '--enable-source-maps', join(dist, script), ...args],
    env,
    log: join(paths.logs, `${name}.log`),
  });
  const worker = (instance: WorkerInstance): ProcessSpec => {
    const { name, role } = instance;
    const port = config.ports.metrics?.[role];
    const metrics: Record<string, string> =
      port === undefined ? {} : { LIFEBOAT_METRICS_ADDRESS: `127.0.0.1:${port}` };
    const env = {
      ...workerEnvironment(config),
      ...roleEnvironment(config, role),
      ...(role === 'control' ? CONTROL_ENVIRONMENT : {}),
      ...(config.cluster === true ? ofCluster(config, instance) : metrics),
    };
    const spec = node(name, 'cli/main.js', ['worker', role], env, WORKER_FLAGS);
    if (config.cluster !== true || role !== 'backup-proxy') return spec;
    const inside = [`--net=/run/netns/${siteNamespace(config)}`, '--', spec.command, ...spec.args];
    return { ...spec, command: 'nsenter', args: inside };
  };
  return [
    node('aws', 'sandbox/aws/main.js', [paths.awsConfig], {}, BLOCK_SERVER_FLAGS),
    ...(config.cluster === true
      ? [
          postgresqlProcess(config, join(paths.logs, 'postgresql.log')),
          ...temporalProcesses(config, paths.logs),
        ]
      : [devServer(config)]),
    node('datacenter', 'sandbox/datacenter/main.js', [paths.datacenter]),
    ...(config.dataCentre === 'vsphere'
      ? [node('vcenter', 'sandbox/datacenter/vcenter-main.js', [config.directory])]
      : []),
    ...(config.runner === 'no-boot'
      ? [node('guests', 'machines/network/answering.js', [answeringSocket(config), paths.silentGuests])]
      : []),
    ...workersOf(config).map(worker),
  ];
}

/**
 * Garbage that Go's runtime lets the server gather before it collects, in percent of what lives (100 by itself; pkg.go.dev/runtime): the
 * server shares this host with a whole data centre and an AWS account.
 */
const SERVER_GOGC = '30';

/**
 * What a server of one process for a handful of workers needs less of than one that serves a company (Temporal's dynamic configuration).
 * - Workflows whose state it keeps in memory for an hour, open or not; more are read from its database again. By itself 128,000.
 * - Partitions of each task queue, in each of which it keeps readers, writers and matchers: by itself 4, for loads that one process cannot match.
 * - Goroutines for each kind of task, whose stacks stay: by itself 512 of each, where one SQLite file writes one thing at a time.
 */
const SERVER_SETTINGS: Readonly<Record<string, number>> = {
  'history.hostLevelCacheMaxSize': 256,
  'matching.numTaskqueueReadPartitions': 1,
  'matching.numTaskqueueWritePartitions': 1,
  'history.transferProcessorSchedulerWorkerCount': 64,
  'history.timerProcessorSchedulerWorkerCount': 64,
  'history.visibilityProcessorSchedulerWorkerCount': 64,
  'history.archivalProcessorSchedulerWorkerCount': 1,
  'history.memoryTimerProcessorSchedulerWorkerCount': 16,
  'history.ReplicationProcessorSchedulerWorkerCount': 1,
  'history.ReplicationLowPriorityProcessorSchedulerWorkerCount': 1,
};

/** The server of the Temporal CLI, in one process. */
function devServer(config: SandboxConfig): ProcessSpec {
  const paths = sandboxPaths(config);
  return {
    name: 'temporal',
    command: temporalCommand(),
    args: [
      'server',
      'start-dev',
      ...['--ip', '127.0.0.1', '--port', String(config.ports.temporal)],
      ...['--ui-ip', '127.0.0.1', '--ui-port', String(config.ports.ui)],
      ...['--namespace', TEMPORAL_NAMESPACE, '--db-filename', join(paths.temporal, 'temporal.db')],
      ...['--log-level', 'warn'],
      ...Object.entries(SERVER_SETTINGS).flatMap(([key, value]) => [
        '--dynamic-config-value',
        `${key}=${value}`,
      ]),
    ],
    env: { GOGC: SERVER_GOGC },
    log: join(paths.logs, 'temporal.log'),
  };
}

/** What one of several workers of a role is told besides: nothing of it is another's. */
function ofCluster(config: SandboxConfig, { role, number }: WorkerInstance): Record<string, string> {
  const instance = role === 'aws-proxy' ? PROXY_INSTANCE_IDS[number] : undefined;
  return {
    TEMPORAL_ADDRESS: temporalAddress(config, number),
    LIFEBOAT_STATE_DIRECTORY: stateDirectory(config, number),
    ...(instance === undefined ? {} : { LIFEBOAT_PROXY_INSTANCE_ID: instance }),
  };
}

/** Where the n-th worker of each role keeps its state, each in a directory called as its role. */
const stateDirectory = (config: SandboxConfig, number: number): string =>
  config.cluster === true
    ? join(sandboxPaths(config).proxies, String(number + 1))
    : sandboxPaths(config).proxies;

/** Where workers of a role keep their state. */
export const stateDirectories = (config: SandboxConfig, wanted: WorkerInstance['role']): string[] =>
  workersOf(config)
    .filter(({ role }) => role === wanted)
    .map(({ role, number }) => join(stateDirectory(config, number), role));
