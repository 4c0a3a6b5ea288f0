import { createHash } from 'node:crypto';
import { mkdir } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { type SandboxAccess } from './access/access';
import { REGION } from './aws/fixtures';
import { type SubnetFixture, type Times } from './aws/config';
import { type Limits } from './aws/limits';
import { writeFileAtomically } from '../host/atomic-file';
import { readIfExists } from '../host/if-exists';
import { freePorts } from './free-ports';
import { type SandboxNetwork } from '../machines/network/segment';
import { projectRoot } from '../host/project-root';
import { type Pace } from '../workers/bundle-name';
import { type Role } from '../workers/roles';

/** Everything that a sandbox's processes are started with; kept in its directory, so that a restart is the same. */
export interface SandboxConfig {
  /** Holds all its state. */
  directory: string;
  network: SandboxNetwork;
  /** N of the sandbox's own loopback addresses 127.N.x.y. */
  loopbackOctet: number;
  region: string;
  accessKeyId: string;
  secretAccessKey: string;
  ports: {
    aws: number;
    dns: number;
    temporal: number;
    ui: number;
    /** Of the workers' metrics, by role; absent in a sandbox of before there were any. */
    metrics?: Record<Role, number>;
  };
  /**
   * `qemu`: instances are QEMU machines; `no-boot`: they only have states, for tests of everything else. VMs of the data
   * centre that are started then have their disks open and no more, and whoever is asked whether it is ready says so.
   */
  runner: 'qemu' | 'no-boot';
  /**
   * `shop`: the data centre gets the sample application; `families`: VMs of other families than the shop's; `all`: both;
   * `none`: it stays empty.
   */
  application: 'shop' | 'families' | 'all' | 'none';
  /** How long runs and the account take over things; `quick` for tests that kill processes. */
  pace?: Pace;
  /** What runs the VMs of the primary site: QEMU on VMs in a directory, or a simulated vCenter. `local` where absent. */
  dataCentre?: DataCentre;
  /** Limits that the AWS endpoint enforces; none where absent. */
  limits?: Limits;
  /** How long the account takes over things, instead of what the pace says. */
  times?: Partial<Times>;
  /** What the roles that workers and the command work under are for; absent: they work as the account's root user. */
  access?: SandboxAccess;
  /** Subnets beside the sample application's, for more instances than those take; where nothing boots. */
  subnets?: SubnetFixture[];
  /** A Temporal server of several processes on PostgreSQL, and several workers of each role, instead of one server and one of each. */
  cluster?: boolean;
}

export type DataCentre = 'local' | 'vsphere';

export type SandboxOptions = Partial<
  Pick<
    SandboxConfig,
    | 'directory'
    | 'runner'
    | 'application'
    | 'pace'
    | 'dataCentre'
    | 'limits'
    | 'times'
    | 'subnets'
    | 'cluster'
  >
>;

export const defaultSandboxDirectory = (): string => join(projectRoot(), '.lifeboat', 'sandbox');

const configFile = (directory: string): string => join(directory, 'config.json');

/** The sandbox's config, or undefined where none was ever made in that directory. */
export async function readSandboxConfig(directory: string): Promise<SandboxConfig | undefined> {
  const text = await readIfExists(configFile(directory));
  return text === undefined ? undefined : (JSON.parse(text) as SandboxConfig);
}

/** Makes the config of a new sandbox, with free ports and names of its own, and stores it. */
export async function createSandboxConfig(options: SandboxOptions): Promise<SandboxConfig> {
  const directory = resolve(options.directory ?? defaultSandboxDirectory());
  const digest = createHash('sha256').update(directory).digest();
  const id = digest.toString('hex').slice(0, 6);
  const [aws = 0, dns = 0, temporal = 0, ui = 0, control = 0, awsProxy = 0, backupProxy = 0] =
    await freePorts(7);
  const config: SandboxConfig = {
    directory,
    network: { id, runDirectory: `/run/lifeboat-${id}` },
    // 32 to 231: away from 127.0 and 127.1, which others use; of the directory, so that sandboxes differ.
    loopbackOctet: 32 + (digest.readUInt8(4) % 200),
    region: REGION,
    accessKeyId: `LIFEBOATSANDBOX${id.toUpperCase()}`,
    secretAccessKey: digest.toString('hex').slice(0, 40),
    ports: {
      ...{ aws, dns, temporal, ui },
      metrics: { control, 'aws-proxy': awsProxy, 'backup-proxy': backupProxy },
    },
    runner: options.runner ?? 'qemu',
    application: options.application ?? 'shop',
    pace: options.pace ?? 'usual',
    dataCentre: options.dataCentre ?? 'local',
    access: EXAMPLES,
    ...(options.limits === undefined ? {} : { limits: options.limits }),
    ...(options.times === undefined ? {} : { times: options.times }),
    ...(options.subnets === undefined ? {} : { subnets: options.subnets }),
    ...(options.cluster === true ? { cluster: true } : {}),
  };
  await mkdir(directory, { recursive: true });
  await saveSandboxConfig(config);
  return config;
}

export async function saveSandboxConfig(config: SandboxConfig): Promise<void> {
  await writeFileAtomically(configFile(config.directory), `${JSON.stringify(config, null, 2)}\n`);
}

/** The plans of `examples/` that are for a sandbox, and the names that they move. */
const EXAMPLES: SandboxAccess = {
  plans: ['families', 'shop'],
  recordNames: ['www.shop.example'],
  lockDays: [],
};
