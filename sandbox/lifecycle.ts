import { spawn } from 'node:child_process';
import { openSync, closeSync } from 'node:fs';
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { writeIdentities } from './access/grant';
import { profileOf, type ProfileFiles, writeProfiles } from './access/profiles';
import { installFamilies, installShop, nameShop } from './application';
import { shopFixtures } from './aws/fixtures';
import { type AwsEndpointConfig } from './aws/config';
import {
  createSandboxConfig,
  defaultSandboxDirectory,
  readSandboxConfig,
  type SandboxConfig,
  type SandboxOptions,
} from './config';
import { ensureNamespace, prepareCluster } from './cluster/prepare';
import { workersOf } from './cluster/workers';
import { siteOf } from './datacenter/site-of';
import { ensureSegment } from '../machines/network/segment';
import { writeFileAtomically } from '../host/atomic-file';
import { pidRuns } from '../host/pid-file';
import { readIfExists } from '../host/if-exists';
import { projectRoot } from '../host/project-root';
import { SEGMENTS } from './segments';
import { clientEnvironment, sandboxPaths, SHOP_REPOSITORY, TEMPORAL_NAMESPACE } from './supervisor/processes';
import { waitUntilServing } from './supervisor/readiness';
import { supervisorReport } from './supervisor/report';
import { type ProcessReport } from './supervisor/supervised';
import { takeDown } from './take-down';

/** What `.lifeboat/sandbox.json` holds while the sandbox is up: where its services are. */
export interface SandboxFile {
  aws: {
    endpoint: string;
    region: string;
    /** Of the account's root user. */
    accessKeyId: string;
    secretAccessKey: string;
    /** Of who uses the `lifeboat` command. */
    profile?: ProfileFiles;
  };
  temporal: { address: string; namespace: string; ui: string };
  dns: { address: string };
  datacenter: { directory: string };
  /** The backup repository, as LIFEBOAT_REPOSITORY has it. */
  repository: string;
}

export interface SandboxStatus {
  up: boolean;
  directory: string;
  processes: (ProcessReport & { running: boolean })[];
  services?: SandboxFile;
}

type Log = (line: string) => void;

/** Marks a process as this sandbox's supervisor in its command line. */
const supervisorScript = (): string => join(projectRoot(), 'dist', 'sandbox', 'supervisor', 'main.js');

/**
 * Where the services are told. The default sandbox tells it in the project's `.lifeboat/sandbox.json`, where the CLI
 * looks; any other in its own directory, so that it cannot be mistaken for the one that a person brought up.
 */
export const sandboxFile = (directory: string): string =>
  directory === defaultSandboxDirectory()
    ? join(projectRoot(), '.lifeboat', 'sandbox.json')
    : join(directory, 'sandbox.json');

/** Brings both sites, the Temporal server and the workers up; what is up already stays. */
export async function sandboxUp(options: SandboxOptions = {}, log: Log = () => {}): Promise<SandboxFile> {
  const directory = options.directory ?? defaultSandboxDirectory();
  const config =
    (await readSandboxConfig(directory)) ?? (await createSandboxConfig({ ...options, directory }));
  const paths = sandboxPaths(config);
  for (const path of [paths.aws, paths.datacenter, paths.devices, paths.temporal, paths.logs, paths.proxies])
    await mkdir(path, { recursive: true });
  await mkdir(config.network.runDirectory, { recursive: true });

  log('making the networks of both sites');
  for (const segment of SEGMENTS) await ensureSegment(config.network, segment);
  const site = siteOf(config);
  await site.open();

  await writeProfiles(config);
  await writeIdentities(config);
  await writeFileAtomically(paths.awsConfig, JSON.stringify(awsEndpointConfig(config), null, 2));
  if (!(await supervisorRuns(config))) {
    if (config.cluster === true) await prepareCluster(config);
    log('starting the AWS endpoint, the Temporal server and the workers');
    await startSupervisor(config);
  }
  if (config.cluster === true) await ensureNamespace(config, TEMPORAL_NAMESPACE);
  await waitUntilServing(config);
  await site.untilServing();

  const cache = join(projectRoot(), '.lifeboat', 'cache');
  const { application } = config;
  if (application === 'shop' || application === 'all') {
    await nameShop(config);
    await installShop(site, cache, log);
  }
  if (hasFamilies(config)) await installFamilies(site, cache, log);
  const services = sandboxServices(config);
  await writeFileAtomically(sandboxFile(directory), `${JSON.stringify(services, null, 2)}\n`);
  return services;
}

/** Stops everything of the sandbox; with `forget` its data goes, too. Succeeds where nothing is up. */
export async function sandboxDown(
  options: { directory?: string; forget?: boolean } = {},
  log: Log = () => {},
): Promise<void> {
  const directory = options.directory ?? defaultSandboxDirectory();
  await rm(sandboxFile(directory), { force: true });
  const config = await readSandboxConfig(directory);
  if (config) await takeDown(config, supervisorScript(), log);
  if (options.forget) await rm(directory, { recursive: true, force: true });
}

/** What of the sandbox runs. */
export async function sandboxStatus(options: { directory?: string } = {}): Promise<SandboxStatus> {
  const directory = options.directory ?? defaultSandboxDirectory();
  const config = await readSandboxConfig(directory);
  if (!config) return { up: false, directory, processes: [] };
  const up = await supervisorRuns(config);
  const processes = await Promise.all(
    (await supervisorReport(config)).map(async (report) => ({
      ...report,
      running: up && report.pid !== undefined && (await pidRuns(report.pid, '')),
    })),
  );
  return { up, directory, processes, ...(up ? { services: sandboxServices(config) } : {}) };
}

async function supervisorRuns(config: SandboxConfig): Promise<boolean> {
  const pid = await readIfExists(sandboxPaths(config).supervisorPid);
  if (pid === undefined) return false;
  return (await pidRuns(Number(pid), supervisorScript())) && (await pidRuns(Number(pid), config.directory));
}

async function startSupervisor(config: SandboxConfig): Promise<void> {
  const log = openSync(join(sandboxPaths(config).logs, 'supervisor.log'), 'a');
  const child = spawn(process.execPath, ['--enable-source-maps', supervisorScript(), config.directory], {
    detached: true,
    stdio: ['ignore', log, log],
    cwd: projectRoot(),
  });
  closeSync(log);
  child.unref();
  for (let tries = 0; tries < 100; tries++) {
    if (await supervisorRuns(config)) return;
    await sleep(100);
  }
  throw new Error(`The sandbox's supervisor did not start; see ${sandboxPaths(config).logs}.`);
}

/** Times of an account that answers at once; its states come in the same order. */
const QUICK_TIMES = {
  instanceStart: 0.1,
  instanceStop: 0.1,
  volumeCreate: 0.1,
  volumeAttach: 0.1,
  snapshotComplete: 0.1,
  dnsPropagation: 0.2,
};

const hasFamilies = ({ application }: SandboxConfig): boolean =>
  application === 'families' || application === 'all';

function awsEndpointConfig(config: SandboxConfig): AwsEndpointConfig {
  const { aws, devices } = sandboxPaths(config);
  const shop = shopFixtures(workersOf(config).filter(({ role }) => role === 'aws-proxy').length);
  const times = { ...(config.pace === 'quick' ? QUICK_TIMES : {}), ...config.times };
  return {
    directory: aws,
    listen: { host: '127.0.0.1', port: config.ports.aws },
    dns: { host: '127.0.0.1', port: config.ports.dns },
    region: config.region,
    accessKeyId: config.accessKeyId,
    secretAccessKey: config.secretAccessKey,
    network: config.network,
    loopbackOctet: config.loopbackOctet,
    deviceDirectory: devices,
    runner: config.runner,
    fixtures: { ...shop, subnets: [...shop.subnets, ...(config.subnets ?? [])] },
    // What the sample guests need; a second CPU saves half a second of their boot and costs two of the host's.
    machineMemoryMiB: hasFamilies(config) ? 512 : 384,
    machineCpus: 1,
    ...(Object.keys(times).length === 0 ? {} : { times }),
    ...(config.limits === undefined ? {} : { limits: config.limits }),
  };
}

function sandboxServices(config: SandboxConfig): SandboxFile {
  const env = clientEnvironment(config);
  const profile = profileOf(config, 'command');
  return {
    aws: {
      endpoint: env.AWS_ENDPOINT_URL ?? '',
      region: config.region,
      accessKeyId: config.accessKeyId,
      secretAccessKey: config.secretAccessKey,
      ...(profile === undefined ? {} : { profile }),
    },
    temporal: {
      address: env.TEMPORAL_ADDRESS ?? '',
      namespace: TEMPORAL_NAMESPACE,
      // The Web UI is the dev server's.
      ui: config.cluster === true ? '' : `http://127.0.0.1:${config.ports.ui}`,
    },
    dns: { address: `127.0.0.1:${config.ports.dns}` },
    datacenter: { directory: sandboxPaths(config).datacenter },
    repository: SHOP_REPOSITORY,
    ...(config.ports.metrics === undefined || config.cluster === true
      ? {}
      : {
          metrics: Object.fromEntries(
            Object.entries(config.ports.metrics).map(([role, port]) => [
              role,
              `http://127.0.0.1:${port}/metrics`,
            ]),
          ),
        }),
  };
}
