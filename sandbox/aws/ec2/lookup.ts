import { type Account } from '../account';
import { type SubnetFixture } from '../config';
import {
  type ImageRecord,
  type InstanceRecord,
  type RootReplacementRecord,
  type SnapshotRecord,
  type VolumeRecord,
} from '../state/records';
import { AwsError } from '../wire/errors';
import { type Collection } from '../state/collection';

/**
 * Resources by id, or the error by which EC2 says that there is none (EC2 API Reference, "Error codes"): one code
 * for an id that cannot be, another for one that could.
 */
function lookUp<T extends { id: string; deletedAt?: string }>(
  collection: Collection<T>,
  id: string | undefined,
  prefix: string,
  error: { malformed: string; missing: string; what: string },
): T {
  if (id === undefined || !new RegExp(`^${prefix}-([0-9a-f]{8}|[0-9a-f]{17})$`).test(id))
    throw new AwsError(error.malformed, `Invalid id: "${id ?? ''}" (expecting "${prefix}-...")`);
  const item = collection.get(id);
  if (item === undefined || item.deletedAt !== undefined)
    throw new AwsError(error.missing, `The ${error.what} '${id}' does not exist.`);
  return item;
}

export const findVolume = (account: Account, id: string | undefined): VolumeRecord =>
  lookUp(account.volumes, id, 'vol', {
    malformed: 'InvalidVolumeID.Malformed',
    missing: 'InvalidVolume.NotFound',
    what: 'volume',
  });

export const findSnapshot = (account: Account, id: string | undefined): SnapshotRecord =>
  lookUp(account.snapshots, id, 'snap', {
    malformed: 'InvalidSnapshotID.Malformed',
    missing: 'InvalidSnapshot.NotFound',
    what: 'snapshot',
  });

export const findImage = (account: Account, id: string | undefined): ImageRecord =>
  lookUp(account.images, id, 'ami', {
    malformed: 'InvalidAMIID.Malformed',
    missing: 'InvalidAMIID.NotFound',
    what: 'image id',
  });

export const findInstance = (account: Account, id: string | undefined): InstanceRecord =>
  lookUp(account.instances, id, 'i', {
    malformed: 'InvalidInstanceID.Malformed',
    missing: 'InvalidInstanceID.NotFound',
    what: 'instance ID',
  });

export const findRootReplacement = (account: Account, id: string | undefined): RootReplacementRecord =>
  lookUp(account.rootReplacements, id, 'replacevol', {
    malformed: 'InvalidReplaceRootVolumeTaskId.Malformed',
    missing: 'InvalidReplaceRootVolumeTaskId.NotFound',
    what: 'root volume replacement task',
  });

export function findSubnet(account: Account, id: string | undefined): SubnetFixture {
  const subnet = account.config.fixtures.subnets.find((candidate) => candidate.id === id);
  if (subnet === undefined)
    throw new AwsError('InvalidSubnetID.NotFound', `The subnet ID '${id ?? ''}' does not exist`);
  return subnet;
}

/** All live items, or those with the given ids. @throws the error of `find` for an id that is missing */
export function select<T extends { deletedAt?: string }>(
  collection: { all(): T[] },
  ids: string[] | undefined,
  find: (id: string) => T,
): T[] {
  if (ids === undefined || ids.length === 0)
    return collection.all().filter((item) => item.deletedAt === undefined);
  return [...new Set(ids)].map(find);
}

/** @throws AwsError DryRunOperation where the request asks only whether it would be allowed */
export function checkDryRun(input: { DryRun?: boolean }): void {
  if (input.DryRun)
    throw new AwsError('DryRunOperation', 'Request would have succeeded, but DryRun flag is set.', 412);
}
