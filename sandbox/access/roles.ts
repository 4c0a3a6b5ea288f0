import { createHmac } from 'node:crypto';
import { ACCOUNT_ID } from '../aws/account';
import {
  LICENSED_BIOS_IMAGE_ID,
  LICENSED_UEFI_IMAGE_ID,
  SHOP_HOSTED_ZONE_ID,
  SHOP_INSTANCE_PROFILE,
  SHOP_TOPIC,
  shopFixtures,
} from '../aws/fixtures';
import { type Identities, type UserFixture } from '../aws/iam/identities';
import { type PolicyDocument } from '../aws/iam/policy-document';
import { type PolicyName, type PolicyValues, readPolicy } from '../aws/iam/policy-files';
import { type SandboxConfig } from '../config';
import { type SandboxAccess } from './access';

/** Who works in a sandbox under a role of their own: each worker, and who uses the `lifeboat` command. */
export const SANDBOX_ROLES = ['control', 'aws-proxy', 'backup-proxy', 'command'] as const;
export type SandboxRole = (typeof SANDBOX_ROLES)[number];

/** The policies that docs/aws.md asks for, by role; of who uses the command, all that a person may have, so that every command can be tried. */
const POLICIES: Record<SandboxRole, readonly PolicyName[]> = {
  control: ['control', 'control-topics'],
  'aws-proxy': ['aws-proxy'],
  'backup-proxy': ['backup-proxy'],
  command: ['command', 'command-sign', 'command-sweep', 'aws-check'],
};

export const roleName = (role: SandboxRole): string => `lifeboat-${role}`;
export const roleArn = (role: SandboxRole): string => `arn:aws:iam::${ACCOUNT_ID}:role/${roleName(role)}`;

/**
 * Who assumes a role: a user for each host, whose key its profile names, and who may do nothing else. On EC2 that is the
 * instance itself, in a data centre IAM Roles Anywhere.
 */
export function hostUser(
  { secretAccessKey }: Pick<SandboxConfig, 'secretAccessKey'>,
  role: SandboxRole,
): UserFixture {
  const digest = createHmac('sha256', secretAccessKey).update(`user of ${role}`).digest('hex');
  return {
    name: `${role}-host`,
    accessKeyId: `AKIA${digest.slice(0, 16).toUpperCase()}`,
    secretAccessKey: digest.slice(16, 56),
    policies: [],
  };
}

/**
 * The users and roles of a sandbox's account; none in one of before there were any.
 * @param repository its prefix with a slash at the end
 */
export function sandboxIdentities(
  config: SandboxConfig,
  repository: { bucket: string; prefix: string },
): Identities {
  const { access } = config;
  if (access === undefined) return { users: [], roles: [] };
  const values = { ...policyValues(config, access), ...repository };
  return {
    users: SANDBOX_ROLES.map((role) => hostUser(config, role)),
    roles: SANDBOX_ROLES.map((role) => ({
      name: roleName(role),
      trust: {
        Version: '2012-10-17',
        Statement: [
          {
            Effect: 'Allow',
            Principal: { AWS: `arn:aws:iam::${ACCOUNT_ID}:user/${hostUser(config, role).name}` },
            Action: 'sts:AssumeRole',
          },
        ],
      },
      policies: POLICIES[role].map((name) => withoutEmpty(readPolicy(name, values))),
    })),
  };
}

/** Statements for what the account or its plans have not, such as locks, are left out: deploy/iam/README.md. */
function withoutEmpty(policy: PolicyDocument): PolicyDocument {
  const statements = [policy.Statement].flat();
  return { ...policy, Statement: statements.filter((one) => !JSON.stringify(one).includes('[]')) };
}

function policyValues(
  config: SandboxConfig,
  { plans, recordNames, lockDays }: SandboxAccess,
): Omit<PolicyValues, 'bucket' | 'prefix'> {
  const { subnets, securityGroups, kmsKeys = {} } = shopFixtures();
  return {
    region: config.region,
    accountId: ACCOUNT_ID,
    plans,
    subnets: [...subnets, ...(config.subnets ?? [])].map(({ id }) => id),
    securityGroups: securityGroups.map(({ id }) => id),
    licensedImages: [LICENSED_BIOS_IMAGE_ID, LICENSED_UEFI_IMAGE_ID],
    instanceProfiles: [SHOP_INSTANCE_PROFILE],
    profileRoles: [SHOP_INSTANCE_PROFILE],
    hostedZones: [SHOP_HOSTED_ZONE_ID],
    recordNames,
    keys: Object.keys(kmsKeys).map((arn) => arn.slice(arn.lastIndexOf('/') + 1)),
    topics: [SHOP_TOPIC],
    topicKeys: [],
    lockDays,
  };
}
