import { join } from 'node:path';
import { repositoryAt } from '../../client/repository';
import { writeFileAtomically } from '../../host/atomic-file';
import { type DrPlan } from '../../plan/schema';
import { normalizedName } from '../aws/iam/calls/route53-calls';
import { IDENTITIES_FILE } from '../aws/iam/identity-file';
import { saveSandboxConfig, type SandboxConfig } from '../config';
import { sandboxPaths, SHOP_REPOSITORY } from '../supervisor/processes';
import { type SandboxAccess } from './access';
import { sandboxIdentities } from './roles';

/** Makes the policies of the sandbox's roles out for what its config has of them; they hold from the next request on. */
export async function writeIdentities(config: SandboxConfig): Promise<void> {
  const repository = repositoryAt(SHOP_REPOSITORY, config.region);
  if (repository === undefined) throw new Error(`${SHOP_REPOSITORY} is no repository.`);
  const { users, roles } = sandboxIdentities(config, repository);
  await writeFileAtomically(
    join(sandboxPaths(config).aws, IDENTITIES_FILE),
    JSON.stringify({ users, roles }),
  );
}

/** Makes them out for a plan, too, as the administrator of an account does before the plan is used. */
export async function grantAccess(config: SandboxConfig, plan: DrPlan): Promise<void> {
  if (config.access === undefined) return;
  const added = accessOf(plan);
  const access: SandboxAccess = {
    plans: both(config.access.plans, added.plans),
    recordNames: both(config.access.recordNames, added.recordNames),
    lockDays: both(config.access.lockDays, added.lockDays),
  };
  if (JSON.stringify(access) === JSON.stringify(config.access)) return;
  config.access = access;
  await saveSandboxConfig(config);
  await writeIdentities(config);
}

const both = <T>(before: readonly T[], more: readonly T[]): T[] => [...new Set([...before, ...more])];

const DAY = 86_400;

function accessOf({ name, dns, replication }: DrPlan): SandboxAccess {
  return {
    plans: [name],
    recordNames: (dns?.records ?? []).map((record) => normalizedName(record.name)),
    lockDays: replication.lock === undefined ? [] : [Math.ceil(replication.lock.keep / DAY)],
  };
}
