import { createHash } from 'node:crypto';
import { type EC2Client } from '@aws-sdk/client-ec2';
import { ADAPTER_VERSION } from '../../../guest/version';
import { namedVms } from '../../../plan/named-vms';
import { type DrPlan } from '../../../plan/schema';
import { type LaunchCopy } from './contract';
import { type DrCopySet } from './dr-copy';
import { findSnapshots, taggedSnapshots, type TaggedSnapshot } from './snapshots';
import { readLaunchSnapshot, type TagValues } from './tags';

/** A snapshot of a launch copy with what its tags say. */
export type LaunchSnapshot = TaggedSnapshot<NonNullable<ReturnType<typeof readLaunchSnapshot>>>;

/** Snapshots of launch copies that carry all of the tags, finished or not, whose own tags are whole. */
export async function findLaunchSnapshots(
  ec2: EC2Client,
  tags: Pick<TagValues, 'plan'> & Partial<TagValues>,
): Promise<LaunchSnapshot[]> {
  return taggedSnapshots(await findSnapshots(ec2, tags), readLaunchSnapshot);
}

/**
 * The launch copies of a plan's DR copies, as {@link launchCopyOf} finds each, by one list. A VM without one is absent; all are
 * where the plan wants none.
 */
export async function findLaunchCopies(
  ec2: EC2Client,
  plan: Pick<DrPlan, 'name' | 'vms' | 'replication'>,
  drCopies: ReadonlyMap<string, DrCopySet>,
): Promise<Map<string, LaunchCopy>> {
  const found = new Map<string, LaunchCopy>();
  if (plan.replication.launchCopy !== true) return found;
  const published = await findLaunchSnapshots(ec2, { plan: plan.name, role: 'launch-copy' });
  for (const [vm, snapshots] of Map.groupBy(published, ({ tags }) => tags.vm)) {
    const drCopy = drCopies.get(vm);
    const launchCopy = drCopy && launchCopyOf(plan, drCopy, snapshots);
    if (launchCopy !== undefined) found.set(vm, launchCopy);
  }
  return found;
}

/**
 * The VM's launch copy of exactly this DR copy, this plan and this release, if it is whole. Anything else boots something
 * else than what a failover of today would make.
 */
export function launchCopyOf(
  plan: Pick<DrPlan, 'vms'>,
  drCopy: DrCopySet,
  found: LaunchSnapshot[],
): LaunchCopy | undefined {
  const wanted = launchCopyDigest(plan, drCopy);
  const tries = Map.groupBy(
    found.filter(
      ({ tags }) => tags.vm === drCopy.vm && tags.role === 'launch-copy' && tags.madeOf === wanted,
    ),
    ({ tags }) => JSON.stringify([tags.run, tags.attempt]),
  );
  const whole = [...tries.values()].filter((members) => isWhole(drCopy, members));
  // Two tries may both have come to an end; all who look choose the same.
  const [first] = whole.sort((a, b) => (snapshotIdOf(a) < snapshotIdOf(b) ? -1 : 1));
  return (
    first && {
      snapshots: first
        .map(({ snapshot, tags }) => ({ diskKey: tags.disk, snapshotId: snapshot.SnapshotId }))
        .sort((a, b) => (a.diskKey < b.diskKey ? -1 : 1)),
    }
  );
}

function isWhole({ disks }: DrCopySet, members: LaunchSnapshot[]): boolean {
  const keys = new Set(members.map(({ tags }) => tags.disk));
  const fits = ({ snapshot, tags }: LaunchSnapshot): boolean => {
    const disk = disks.find(({ key }) => key === tags.disk);
    return (
      snapshot.State === 'completed' && snapshot.VolumeSize === disk?.volumeGiB && tags.boot === disk?.boot
    );
  };
  return (
    members.every((member) => member.tags.diskCount === members.length && fits(member)) &&
    keys.size === members.length &&
    members.some(({ tags }) => tags.boot)
  );
}

const snapshotIdOf = ([first]: LaunchSnapshot[]): string => first?.snapshot.SnapshotId ?? '';

/** What is in it of other VMs. Those that others knew before are told as they were: a launch copy of then is one of today. */
function namesDigested(plan: Pick<DrPlan, 'vms'>, vm: string): unknown[] {
  const named = namedVms(plan, vm);
  const of = (kind: string): string[][] => named.filter((one) => one.as === kind).map(({ names }) => names);
  const dependencies = of('dependency');
  return named.length === dependencies.length
    ? [dependencies]
    : [dependencies, named.map(({ as, names }) => [as, names])];
}

/** SHA-256 (lower-case hex) of all that decides what is in a launch copy: where one of it changes, it is made anew. */
export function launchCopyDigest(
  plan: Pick<DrPlan, 'vms'>,
  drCopy: Pick<DrCopySet, 'vm' | 'recoveryPoint' | 'disks'>,
): string {
  const vm = plan.vms.find(({ name }) => name === drCopy.vm);
  const snapshots = drCopy.disks.map(({ key, snapshotId }) => [key, snapshotId]);
  const parts = [
    ADAPTER_VERSION,
    drCopy.recoveryPoint,
    snapshots,
    vm?.bootScript === undefined ? null : [vm.bootScript.name, vm.bootScript.sha256],
    ...namesDigested(plan, drCopy.vm),
  ];
  return createHash('sha256').update(JSON.stringify(parts)).digest('hex');
}
