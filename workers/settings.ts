import { hostname } from 'node:os';
import { z } from 'zod';
import { type SecretSource } from '../activities/control/notices/secrets';
import {
  credentialsOf,
  readVsphereSettings,
  type VsphereSettings,
  VsphereSettingsError,
} from '../hypervisor/vsphere';
import { listenAddress } from '../host/listen-address';
import { TraceSettingsError, wantsTraces } from '../host/traces/settings';
import { type RepositoryAddress } from '../plan/run';
import { buildId } from './build-id';
import { type Pace } from './bundle-name';

/** What a worker is told by its environment; documented in docs/aws.md. AWS and Temporal settings are those of their SDKs. */
const environment = z.object({
  AWS_REGION: z.string().min(1),
  /** `s3://bucket` or `s3://bucket/prefix`. */
  LIFEBOAT_REPOSITORY: z
    .string()
    .regex(/^s3:\/\/[a-z0-9][a-z0-9.-]+(\/[A-Za-z0-9_/-]*)?$/, 'must be like s3://bucket/prefix'),
  /** S3 endpoint of the site that the worker is in, where it is not the Region's public one. */
  LIFEBOAT_S3_ENDPOINT: z.url().optional(),
  /** Durable progress of copies; must survive the worker, not the host. */
  LIFEBOAT_STATE_DIRECTORY: z.string().min(1).default('/var/lib/lifeboat'),
  /** `CIDR=unix socket` pairs, where guests are reached through a relay. */
  LIFEBOAT_DIAL: z.string().default(''),
  /** Programs that the hooks of plans may name; see docs/cli.md. */
  LIFEBOAT_HOOKS_DIRECTORY: z.string().regex(/^\//, 'must be an absolute path').optional(),
  /** Address and port to serve metrics at (docs/monitoring.md); none are where it is absent. */
  LIFEBOAT_METRICS_ADDRESS: z
    .string()
    .refine(
      (text) => (listenAddress(text)?.port ?? 0) > 0,
      'must be an IP address and a port, such as 127.0.0.1:9464 or [::]:9464',
    )
    .optional(),
  /** `quick` for tests that kill workers: see workflows/run/quick-pace.ts. */
  LIFEBOAT_PACE: z.enum(['usual', 'quick']).default('usual'),
  /** Temporal worker deployment that control workers are versions of; empty: they are not versioned. */
  LIFEBOAT_DEPLOYMENT: z
    .string()
    .regex(/^[A-Za-z0-9_-]{0,100}$/, 'must be a name of letters, digits, - and _')
    .default(''),
});

const control = z.object({
  /** YAML file of the secrets that sign webhooks, by name; where absent, LIFEBOAT_WEBHOOK_SECRET_<NAME> of the environment. */
  LIFEBOAT_WEBHOOK_SECRETS: z.string().min(1).optional(),
});

const awsProxy = z.object({
  LIFEBOAT_PROXY_INSTANCE_ID: z.string().regex(/^i-[0-9a-f]+$/, 'must be the EC2 instance id of this host'),
  LIFEBOAT_PROXY_AVAILABILITY_ZONE: z.string().min(1),
  /** Where an attached volume appears, by its id: "Map volumes to NVMe device names", Amazon EBS User Guide. */
  LIFEBOAT_DEVICE_DIRECTORY: z.string().min(1).default('/dev/disk/by-id'),
  /** `host:port` of name servers to ask instead of the hosted zone's own. */
  LIFEBOAT_DNS_SERVERS: z.string().default(''),
  /** `host:port` of recursive resolvers: what they answer is told beside what the zone's own servers do. */
  LIFEBOAT_DNS_RESOLVERS: z.string().default(''),
});

const backupProxy = z.object({
  /**
   * `local:<directory>`: a directory of VMs run by QEMU. `vsphere:<address or file>`: a vCenter, see docs/vsphere.md; its user and
   * password are in LIFEBOAT_VSPHERE_USER and LIFEBOAT_VSPHERE_PASSWORD, or in the file that the settings name.
   */
  LIFEBOAT_HYPERVISOR: z
    .string()
    .regex(/^(local|vsphere):.+/, 'must be local:<directory>, vsphere:https://<vcenter>/ or vsphere:<file>'),
});

export interface WorkerSettings {
  region: string;
  repository: RepositoryAddress;
  stateDirectory: string;
  dialRoutes: string;
  /** Absent: hooks run no programs here. */
  hooksDirectory: string | undefined;
  /** Absent: no metrics are served. */
  metricsAddress?: string;
  pace: Pace;
  /** Version of the package and its workflows: see {@link buildId}. */
  build: string;
  /** Whether traces are sent, as OpenTelemetry's variables say. */
  traces: boolean;
  /** Worker deployment of the control workers; undefined where they are not versioned. */
  deployment: string | undefined;
  /** Names this process and its version to the Temporal server, for people who look for it. */
  identity: string;
}

export interface AwsProxySettings {
  instanceId: string;
  availabilityZone: string;
  deviceDirectory: string;
  /** Empty: ask the zone's own. */
  dnsServers: string[];
  /** Empty: none is asked. */
  dnsResolvers: string[];
}

export type HypervisorSettings =
  { adapter: 'local'; directory: string } | { adapter: 'vsphere'; settings: VsphereSettings };

export interface BackupProxySettings {
  hypervisor: HypervisorSettings;
}

/** An environment that a worker cannot run with: names every variable that is missing or wrong. */
export class SettingsError extends Error {
  constructor(problems: string[]) {
    super(`The environment lacks what this worker needs: ${problems.join('; ')}.`);
    this.name = 'SettingsError';
  }
}

function read<T>(schema: z.ZodType<T>, env: NodeJS.ProcessEnv): T {
  const parsed = schema.safeParse(env);
  if (parsed.success) return parsed.data;
  throw new SettingsError(parsed.error.issues.map((issue) => `${issue.path.join('.')} ${issue.message}`));
}

/** @throws SettingsError */
export function workerSettings(role: string, env: NodeJS.ProcessEnv = process.env): WorkerSettings {
  const values = read(environment, env);
  if (values.LIFEBOAT_DEPLOYMENT !== '' && values.LIFEBOAT_PACE !== 'usual')
    throw new SettingsError(['LIFEBOAT_DEPLOYMENT is for workers of the usual LIFEBOAT_PACE']);
  const [, bucket = '', path = ''] = /^s3:\/\/([^/]+)\/?(.*)$/.exec(values.LIFEBOAT_REPOSITORY) ?? [];
  const prefix = path === '' || path.endsWith('/') ? path : `${path}/`;
  const build = buildId();
  return {
    region: values.AWS_REGION,
    repository: { bucket, prefix, region: values.AWS_REGION, endpoint: values.LIFEBOAT_S3_ENDPOINT },
    stateDirectory: values.LIFEBOAT_STATE_DIRECTORY,
    dialRoutes: values.LIFEBOAT_DIAL,
    hooksDirectory: values.LIFEBOAT_HOOKS_DIRECTORY,
    metricsAddress: values.LIFEBOAT_METRICS_ADDRESS,
    pace: values.LIFEBOAT_PACE,
    build,
    traces: asSettings(() => wantsTraces(env)),
    deployment: values.LIFEBOAT_DEPLOYMENT === '' ? undefined : values.LIFEBOAT_DEPLOYMENT,
    identity: `${role}@${hostname()}:${process.pid} ${build}`,
  };
}

/** Reads settings that others know the meaning of. @throws SettingsError in the place of their own errors */
export function asSettings<T>(readThem: () => T): T {
  try {
    return readThem();
  } catch (error) {
    if (error instanceof TraceSettingsError || error instanceof VsphereSettingsError)
      throw new SettingsError([error.message.replace(/\.$/, '')]);
    throw error;
  }
}

/** Where a control worker has the secrets that sign webhooks. They are read when one is signed. @throws SettingsError */
export function webhookSecrets(env: NodeJS.ProcessEnv = process.env): SecretSource {
  return { file: read(control, env).LIFEBOAT_WEBHOOK_SECRETS, env };
}

const listed = (text: string): string[] => text.split(',').filter((entry) => entry !== '');

/** @throws SettingsError */
export function awsProxySettings(env: NodeJS.ProcessEnv = process.env): AwsProxySettings {
  const values = read(awsProxy, env);
  return {
    instanceId: values.LIFEBOAT_PROXY_INSTANCE_ID,
    availabilityZone: values.LIFEBOAT_PROXY_AVAILABILITY_ZONE,
    deviceDirectory: values.LIFEBOAT_DEVICE_DIRECTORY,
    dnsServers: listed(values.LIFEBOAT_DNS_SERVERS),
    dnsResolvers: listed(values.LIFEBOAT_DNS_RESOLVERS),
  };
}

/** @throws SettingsError */
export function backupProxySettings(env: NodeJS.ProcessEnv = process.env): BackupProxySettings {
  const value = read(backupProxy, env).LIFEBOAT_HYPERVISOR;
  const [adapter = ''] = value.split(':', 1);
  const rest = value.slice(adapter.length + 1);
  if (adapter === 'local') return { hypervisor: { adapter, directory: rest } };
  return asSettings(() => {
    const settings = readVsphereSettings(rest);
    credentialsOf(settings, env);
    return { hypervisor: { adapter: 'vsphere', settings } };
  });
}
