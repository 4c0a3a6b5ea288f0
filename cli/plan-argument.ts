import path from 'node:path';
import { openRepository, repositoryAt, repositoryOf, repositoryUrl } from '../client/repository';
import { loadPlanFile } from '../plan/load';
import { planNamePattern } from '../plan/names';
import { type RepositoryAddress } from '../plan/run';
import { type DrPlan } from '../plan/schema';
import { type ObjectStore } from '../repository/objects/object-store';
import { loadPlan, planDigest, publishPlan } from '../repository/plans/plans';
import { CliError, EXIT } from './exit-codes';
import { type CliSettings } from './settings';

/** The plan that a command is about. */
export interface PlanArgument {
  plan: DrPlan;
  /** Version of the plan. */
  digest: string;
  /** Whether it was found by its name: then its newest published version is meant. */
  byName: boolean;
  store: ObjectStore;
  /** Stores a plan that came from a file, so that a run finds it. */
  publish(): Promise<void>;
}

/** A PLAN with a slash or the ending of a YAML file is a path; anything else is the name of a published plan. */
export const isPlanFile = (argument: string): boolean => argument.includes('/') || /\.ya?ml$/i.test(argument);

/**
 * @throws PlanError @throws PlanNotFoundError
 * @throws CliError where the settings do not say where published plans are, or say another place than the plan
 */
export async function findPlan(argument: string, settings: CliSettings, cwd: string): Promise<PlanArgument> {
  return isPlanFile(argument) ? fromFile(argument, settings, cwd) : fromRepository(argument, settings);
}

async function fromFile(argument: string, settings: CliSettings, cwd: string): Promise<PlanArgument> {
  // Relative to here, so that messages name the file as it was written.
  const { plan, scripts } = await loadPlanFile(
    path.relative(process.cwd(), path.resolve(cwd, argument)) || argument,
  );
  const address = repositoryOf(plan);
  const configured = settings.repository && repositoryAt(settings.repository, address.region);
  if (configured && repositoryUrl(configured) !== repositoryUrl(address))
    throw new CliError(
      `The plan's backup repository is ${repositoryUrl(address)}, but LIFEBOAT_REPOSITORY, where the workers look for plans, is ${repositoryUrl(configured)}; make them the same.`,
      EXIT.badInput,
    );
  const store = openRepository(address);
  return {
    plan,
    digest: planDigest(plan),
    byName: false,
    store,
    publish: async () => void (await publishPlan(store, plan, scripts)),
  };
}

async function fromRepository(name: string, settings: CliSettings): Promise<PlanArgument> {
  if (!planNamePattern.test(name))
    throw new CliError(
      `"${name}" is neither the path of a plan file (with a "/" or ending in .yaml) nor the name of a plan.`,
      EXIT.badInput,
    );
  if (settings.repository === undefined)
    throw new CliError(
      `To find the plan "${name}", set LIFEBOAT_REPOSITORY to s3://bucket/prefix of the backup repository; or give the path of a plan file.`,
      EXIT.badInput,
    );
  if (settings.region === undefined)
    throw new CliError('Set AWS_REGION to the Region of the backup repository.', EXIT.badInput);
  const store = openRepository(configuredRepository(settings.repository, settings.region));
  const { plan, digest } = await loadPlan(store, name);
  return { plan, digest, byName: true, store, publish: async () => {} };
}

/** The repository that the settings name. @throws CliError */
export function configuredRepository(repository: string, region: string): RepositoryAddress {
  const address = repositoryAt(repository, region);
  if (address !== undefined) return address;
  throw new CliError(
    `LIFEBOAT_REPOSITORY is "${repository}"; it must be like s3://bucket/prefix.`,
    EXIT.badInput,
  );
}
