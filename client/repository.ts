import { type S3Client } from '@aws-sdk/client-s3';
import { s3Client } from '../activities/aws-proxy/account/single-clients';
import { type RepositoryAddress } from '../plan/run';
import { type DrPlan } from '../plan/schema';
import { type ObjectStore, s3ObjectStore } from '../repository/objects/object-store';

/** How often a call is tried: no workflow stands behind this client to try again. */
export const CLIENT_ATTEMPTS = 3;

/**
 * The backup repository that a setting such as LIFEBOAT_REPOSITORY names, or undefined where it names none.
 * @param url `s3://bucket` or `s3://bucket/prefix`
 */
export function repositoryAt(url: string, region: string): RepositoryAddress | undefined {
  const [, bucket, path = ''] =
    /^s3:\/\/([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(?:\/((?:[A-Za-z0-9_-]+\/)*[A-Za-z0-9_-]*))?$/.exec(url) ?? [];
  if (bucket === undefined) return undefined;
  return { bucket, prefix: path === '' || path.endsWith('/') ? path : `${path}/`, region };
}

/**
 * The backup repository of a plan, as it is reached from where a person sits: the plan's own S3 endpoint is that of
 * the recovery site's network, and does not answer elsewhere.
 */
export function repositoryOf(plan: Pick<DrPlan, 'repository' | 'recoverySite'>): RepositoryAddress {
  const { bucket, prefix } = plan.repository;
  return { bucket, prefix, region: plan.recoverySite.region };
}

/** `s3://bucket/prefix/`, for people. */
export const repositoryUrl = ({ bucket, prefix }: Pick<RepositoryAddress, 'bucket' | 'prefix'>): string =>
  `s3://${bucket}/${prefix}`;

/** The repository's objects. The endpoint is that of the environment, where it names one. */
export const openRepository = (address: RepositoryAddress, env?: NodeJS.ProcessEnv): ObjectStore =>
  s3ObjectStore(repositoryClient(address, env), address);

/** The client by which {@link openRepository} asks. */
export function repositoryClient(
  { region, endpoint }: Pick<RepositoryAddress, 'region' | 'endpoint'>,
  env: NodeJS.ProcessEnv = process.env,
): S3Client {
  const asked = endpoint ?? env.AWS_ENDPOINT_URL_S3 ?? env.AWS_ENDPOINT_URL;
  return s3Client({ region, endpoint: asked, maxAttempts: CLIENT_ATTEMPTS });
}
