import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { z } from 'zod';
import { projectRoot } from '../host/project-root';
import { CliError, EXIT } from './exit-codes';

/** `.lifeboat/sandbox.json`, which is there while a sandbox is up. */
const sandboxSchema = z.object({
  aws: z.object({
    endpoint: z.url(),
    region: z.string().min(1),
    accessKeyId: z.string().min(1),
    secretAccessKey: z.string().min(1),
    /** Profile of AWS's configuration that commands use; absent in a sandbox without roles. */
    profile: z
      .object({ name: z.string().min(1), configFile: z.string().min(1), credentialsFile: z.string().min(1) })
      .optional(),
  }),
  temporal: z.object({ address: z.string().min(1), namespace: z.string().min(1), ui: z.url() }),
  dns: z.object({ address: z.string().min(1) }),
  datacenter: z.object({ directory: z.string().min(1) }),
  repository: z.string().startsWith('s3://').optional(),
  /** Of workers, by role. */
  metrics: z.record(z.string(), z.url()).optional(),
});

export type SandboxFile = z.infer<typeof sandboxSchema>;

/** What commands need beside the settings that the SDKs read from the environment themselves. */
export interface CliSettings {
  /** File of the sandbox that is used, or undefined where the environment says where everything is. */
  sandboxFile: string | undefined;
  /** Address of Temporal's Web UI. */
  webUi: string | undefined;
  /** `s3://bucket/prefix` of the backup repository. */
  repository: string | undefined;
  region: string | undefined;
  /** Temporal worker deployment of the control workers, where it is named. */
  deployment?: string | undefined;
}

/** The deployment that commands ask for where none is named. */
export const USUAL_DEPLOYMENT = 'lifeboat';

/**
 * Settings come from the environment; where that names no site, from the sandbox that is up in one of the
 * directories. Never from both: a command must not start a run here about what is there.
 * @param env the process's environment; the sandbox's settings are put into it for the SDKs
 * @throws CliError where the sandbox's file is no such file
 */
export function loadSettings(env: NodeJS.ProcessEnv, directories: readonly string[]): CliSettings {
  const found = findSandbox(directories);
  const used = found !== undefined && !namesAnotherSite(env, found.sandbox) ? found : undefined;
  if (used !== undefined) useSandbox(env, used.sandbox);
  return {
    sandboxFile: used?.file,
    webUi: used?.sandbox.temporal.ui ?? env.LIFEBOAT_WEB_UI,
    repository: env.LIFEBOAT_REPOSITORY,
    region: env.AWS_REGION ?? env.AWS_DEFAULT_REGION,
    deployment: env.LIFEBOAT_DEPLOYMENT === '' ? undefined : env.LIFEBOAT_DEPLOYMENT,
  };
}

/** Where a sandbox's file may be: the working directory, and the project that this command is part of. */
export function sandboxDirectories(cwd: string): string[] {
  return [...new Set([cwd, projectRoot()])];
}

function findSandbox(directories: readonly string[]): { file: string; sandbox: SandboxFile } | undefined {
  const file = directories
    .map((directory) => path.join(directory, '.lifeboat', 'sandbox.json'))
    .find(existsSync);
  if (file === undefined) return undefined;
  try {
    return { file, sandbox: sandboxSchema.parse(JSON.parse(readFileSync(file, 'utf8'))) };
  } catch (cause) {
    throw new CliError(
      `${file} is not what "lifeboat sandbox up" writes; run "lifeboat sandbox down", or remove the file.`,
      EXIT.badInput,
      {},
      { cause },
    );
  }
}

function namesAnotherSite(env: NodeJS.ProcessEnv, { aws, temporal, repository }: SandboxFile): boolean {
  const differs = (value: string | undefined, sandbox: string | undefined) =>
    value !== undefined && value !== sandbox;
  return (
    differs(env.TEMPORAL_ADDRESS, temporal.address) ||
    differs(env.AWS_ENDPOINT_URL, aws.endpoint) ||
    differs(env.LIFEBOAT_REPOSITORY, repository)
  );
}

function sandboxEnvironment(
  env: NodeJS.ProcessEnv,
  { aws, temporal, repository }: SandboxFile,
): Record<string, string> {
  // What would lead past the sandbox, or present a real account's credentials to it.
  for (const name of Object.keys(env))
    if (/^AWS_ENDPOINT_URL_|^TEMPORAL_TLS/.test(name) || FOREIGN.includes(name)) delete env[name];
  return {
    AWS_ENDPOINT_URL: aws.endpoint,
    AWS_REGION: aws.region,
    AWS_ACCESS_KEY_ID: aws.accessKeyId,
    AWS_SECRET_ACCESS_KEY: aws.secretAccessKey,
    TEMPORAL_ADDRESS: temporal.address,
    TEMPORAL_NAMESPACE: temporal.namespace,
    ...(repository === undefined ? {} : { LIFEBOAT_REPOSITORY: repository }),
  };
}

function useSandbox(env: NodeJS.ProcessEnv, sandbox: SandboxFile): void {
  const { endpoint, profile } = sandbox.aws;
  // A profile beside the sandbox's own endpoint is one for it: a worker's, whose role is not the command's.
  const own = env.AWS_ENDPOINT_URL === endpoint ? profileSettings(env) : {};
  Object.assign(env, sandboxEnvironment(env, sandbox));
  if (profile === undefined) return;
  // Commands have a role in the account, as they should in any, and not the root user's key.
  delete env.AWS_ACCESS_KEY_ID;
  delete env.AWS_SECRET_ACCESS_KEY;
  Object.assign(env, {
    AWS_PROFILE: profile.name,
    AWS_CONFIG_FILE: profile.configFile,
    AWS_SHARED_CREDENTIALS_FILE: profile.credentialsFile,
    ...own,
  });
}

/** The profile that the environment names, and the files that it is in. */
function profileSettings(env: NodeJS.ProcessEnv): Record<string, string> {
  const { AWS_PROFILE, AWS_CONFIG_FILE, AWS_SHARED_CREDENTIALS_FILE } = env;
  if (!AWS_PROFILE || !AWS_CONFIG_FILE || !AWS_SHARED_CREDENTIALS_FILE) return {};
  return { AWS_PROFILE, AWS_CONFIG_FILE, AWS_SHARED_CREDENTIALS_FILE };
}

/**
 * The sandbox for other programs, which ask as the account's root user, as lines for a shell: AWS's clients (of which boto3 and the first AWS CLI know the Region
 * by AWS_DEFAULT_REGION alone), Temporal's CLI, and the port of the name server, which no client takes from a setting.
 */
export function shellSettings(sandbox: SandboxFile): string {
  const settings = {
    ...sandboxEnvironment({}, sandbox),
    AWS_DEFAULT_REGION: sandbox.aws.region,
    SANDBOX_DNS_PORT: sandbox.dns.address.replace(/^.*:/, ''),
  };
  const quoted = (value: string): string => `'${value.replaceAll("'", "'\\''")}'`;
  const lines = Object.entries(settings).map(([name, value]) => `export ${name}=${quoted(value)}`);
  return [`unset ${FOREIGN.join(' ')}`, ...lines, ''].join('\n');
}

/** Settings of other sites that would be stronger than the sandbox's. */
const FOREIGN = [
  'AWS_PROFILE',
  'AWS_SESSION_TOKEN',
  'AWS_IGNORE_CONFIGURED_ENDPOINT_URLS',
  'TEMPORAL_API_KEY',
  'TEMPORAL_PROFILE',
  'LIFEBOAT_CODEC_KEYS',
];

const VSPHERE = 'vsphere:';

/** Where the settings of the vCenter are that this host's workers use. @throws CliError where they use none */
export function vsphereSource(env: NodeJS.ProcessEnv): string {
  const value = env.LIFEBOAT_HYPERVISOR ?? '';
  if (value.startsWith(VSPHERE)) return value.slice(VSPHERE.length);
  throw new CliError(
    'No vCenter is named: give --settings FILE, or set LIFEBOAT_HYPERVISOR to vsphere:FILE (docs/vsphere.md).',
    EXIT.badInput,
  );
}

/**
 * Where this host's workers keep what they have attached to the proxy: a command that attaches disks has to know theirs, and they
 * its. The default is that of workers.
 */
export function stateDirectory(env: NodeJS.ProcessEnv): string {
  return env.LIFEBOAT_STATE_DIRECTORY ?? '/var/lib/lifeboat';
}
