import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { projectRoot } from '../../../host/project-root';
import { SANDBOX_ROLES, type SandboxRole } from '../../../sandbox/access/roles';
import {
  LICENSED_BIOS_IMAGE_ID,
  LICENSED_UEFI_IMAGE_ID,
  PRODUCTION_SECURITY_GROUP_ID,
  PRODUCTION_SUBNET_ID,
  REGION,
  SECOND_ZONE_SUBNET_ID,
  SHOP_BUCKET,
  SHOP_HOSTED_ZONE_ID,
  SHOP_INSTANCE_PROFILE,
  SHOP_TOPIC,
  TEST_SECURITY_GROUP_ID,
  TEST_SUBNET_ID,
} from '../../../sandbox/aws/fixtures';
import { type Authorization } from '../../../sandbox/aws/iam/evaluation/evaluate';
import { type PolicyName, type PolicyValues } from '../../../sandbox/aws/iam/policy-files';

/** Who asks AWS for something, each by a role of its own. */
export const ROLES = SANDBOX_ROLES;
export type IamRole = SandboxRole;

/** The policies of each role. */
export const POLICIES: Record<IamRole, PolicyName[]> = {
  'aws-proxy': ['aws-proxy', 'aws-proxy-kms'],
  'backup-proxy': ['backup-proxy', 'backup-proxy-kms'],
  control: ['control', 'control-topics'],
  command: ['command', 'command-sweep', 'command-sign'],
};

export type Recorded = Authorization;

const ACCOUNT = '000000000000';

/** What stands in the policies' placeholders in the sandbox, where what is recorded was asked for. */
export const RECORDED_VALUES: PolicyValues = {
  region: REGION,
  accountId: ACCOUNT,
  plans: ['shop'],
  bucket: SHOP_BUCKET,
  prefix: 'dr/',
  subnets: [PRODUCTION_SUBNET_ID, TEST_SUBNET_ID, SECOND_ZONE_SUBNET_ID],
  securityGroups: [PRODUCTION_SECURITY_GROUP_ID, TEST_SECURITY_GROUP_ID],
  licensedImages: [LICENSED_BIOS_IMAGE_ID, LICENSED_UEFI_IMAGE_ID],
  instanceProfiles: [SHOP_INSTANCE_PROFILE],
  profileRoles: [SHOP_INSTANCE_PROFILE],
  hostedZones: [SHOP_HOSTED_ZONE_ID],
  recordNames: ['www.shop.example'],
  topics: [SHOP_TOPIC],
  keys: ['KEY'],
  lockDays: [1],
};

export const RECORDED_FILE = join(projectRoot(), 'test', 'support', 'iam', 'asked-by-roles.json');

/** What each role has asked for in runs of the sandbox: condense-asked.ts. */
export const readRecorded = (): Record<IamRole, Recorded[]> =>
  JSON.parse(readFileSync(RECORDED_FILE, 'utf8')) as Record<IamRole, Recorded[]>;
