import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { writeFileAtomically } from '../../host/atomic-file';
import { type SandboxConfig } from '../config';
import { hostUser, roleArn, SANDBOX_ROLES, type SandboxRole } from './roles';

/** The profile that is a role, in files of each one's own. */
const PROFILE = 'lifeboat';
const SOURCE = 'host';

/** AWS's configuration of one host, as its SDKs and its CLI read it. */
export interface ProfileFiles {
  name: string;
  configFile: string;
  credentialsFile: string;
}

/** Undefined in a sandbox of before there were roles. */
export function profileOf(
  { directory, access }: Pick<SandboxConfig, 'directory' | 'access'>,
  role: SandboxRole,
): ProfileFiles | undefined {
  if (access === undefined) return undefined;
  const files = join(directory, 'hosts', role);
  return { name: PROFILE, configFile: join(files, 'config'), credentialsFile: join(files, 'credentials') };
}

/** Writes each host's profile: the SDK asks STS for a session of the role, and for the next before that ends. */
export async function writeProfiles(config: SandboxConfig): Promise<void> {
  for (const role of SANDBOX_ROLES) {
    const profile = profileOf(config, role);
    if (profile === undefined) return;
    const { accessKeyId, secretAccessKey } = hostUser(config, role);
    await mkdir(join(config.directory, 'hosts', role), { recursive: true });
    await writeFileAtomically(
      profile.configFile,
      lines(`profile ${PROFILE}`, {
        role_arn: roleArn(role),
        source_profile: SOURCE,
        role_session_name: role,
        region: config.region,
      }),
    );
    await writeFileAtomically(
      profile.credentialsFile,
      lines(SOURCE, { aws_access_key_id: accessKeyId, aws_secret_access_key: secretAccessKey }),
    );
  }
}

const lines = (section: string, values: Record<string, string>): string =>
  [`[${section}]`, ...Object.entries(values).map(([name, value]) => `${name} = ${value}`), ''].join('\n');

/** Settings by which a process is a role; over those of the root user, which it must not keep. */
export function roleEnvironment(config: SandboxConfig, role: SandboxRole): Record<string, string> {
  const profile = profileOf(config, role);
  if (profile === undefined) return {};
  return {
    AWS_PROFILE: profile.name,
    AWS_CONFIG_FILE: profile.configFile,
    AWS_SHARED_CREDENTIALS_FILE: profile.credentialsFile,
    // Inherited ones would count, or be warned of.
    AWS_ACCESS_KEY_ID: '',
    AWS_SECRET_ACCESS_KEY: '',
    AWS_SESSION_TOKEN: '',
  };
}
