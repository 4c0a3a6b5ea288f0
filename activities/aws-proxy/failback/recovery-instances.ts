import {
  DescribeInstanceTypesCommand,
  type _InstanceType,
  type EC2Client,
  type Instance,
  type InstanceTypeInfo,
  type Volume,
} from '@aws-sdk/client-ec2';
import { ApplicationFailure } from '@temporalio/common';
import { mapAhead } from '../../../blocks/pipeline';
import { type DiskConfiguration, type Firmware, type VmConfiguration } from '../../../hypervisor/port';
import { byPlace } from '../../../machines/disk-place';
import { type DrPlan } from '../../../plan/schema';
import { MANIFESTS_AT_ONCE, readManifest } from '../../../repository/backups/backups';
import { type ObjectStore } from '../../../repository/objects/object-store';
import { type BackupManifest } from '../../../repository/backups/manifest';
import { type CopySnapshot, copySnapshots } from '../account/dr-copy';
import { FILTER_VALUES, listInstances, listVolumes } from '../account/lookup';
import { findSnapshots, taggedSnapshots } from '../account/snapshots';
import { diskOf, readInstance, readPointSnapshot, readRecoveredVolume, tagFilters } from '../account/tags';
import { type FailbackActivities } from './contract';

type RecoveryInstance = Awaited<ReturnType<FailbackActivities['readInstances']>>[number];

/** An instance of a failover with its volumes, untagged ones among them. */
export interface Found {
  instance: Instance & { InstanceId: string };
  tags: NonNullable<ReturnType<typeof readInstance>>;
  volumes: Volume[];
}

/**
 * The instances that the plan's newest failover left, one for each of its VMs, with all that failback has to know.
 * @throws ApplicationFailure NotReadyForFailback, non-retryable: everything that is in the way
 */
export async function readRecoveryInstances(
  ec2: EC2Client,
  store: ObjectStore,
  plan: DrPlan,
): Promise<RecoveryInstance[]> {
  const newest = newestRun(await findInstances(ec2, plan.name));
  const problems: string[] = [];
  const chosen = plan.vms.flatMap(({ name }) => {
    const found = instanceOf(newest, name);
    if (typeof found !== 'string') return [found];
    problems.push(found);
    return [];
  });
  const types = await instanceTypes(ec2, chosen);
  const snapshots = await findSnapshots(ec2, { plan: plan.name });
  const drCopies = copySnapshots(snapshots).filter(({ tags }) => tags.role === 'dr-copy');
  const pointCopies = taggedSnapshots(snapshots, readPointSnapshot);
  const instances: RecoveryInstance[] = [];
  const read = async (found: Found) => ({
    found,
    manifest: await readManifest(store, found.tags.vm, found.tags.recoveryPoint),
  });
  for await (const { found, manifest } of mapAhead(chosen, MANIFESTS_AT_ONCE, read)) {
    const { vm, recoveryPoint } = found.tags;
    if (manifest === undefined) {
      problems.push(`The repository lacks the backup ${recoveryPoint} that ${vm} was recovered from.`);
      continue;
    }
    const { configuration: before, notes, excludedDisks } = manifest;
    const disks = disksOf(found, before, problems);
    // A point's copy that another run has made holds the same, but EBS compares with what a volume was made from only.
    const ofItsRun = pointCopies.filter(({ tags }) => tags.run === found.tags.run);
    const copies = [...ofItsRun, ...drCopies];
    instances.push({
      vm,
      ...hardwareOf(found, types, before),
      original: withoutDisks(before),
      ...recoveredAt(found),
      disks: disks.map((disk) => ({ ...disk, ...copyOf(manifest, disk.key, copies) })),
      recoveryPoint,
      ...(excludedDisks === undefined ? {} : { excludedDisks }),
      ...(notes === undefined ? {} : { notes }),
    });
  }
  if (problems.length > 0) throw ApplicationFailure.nonRetryable(problems.join(' '), 'NotReadyForFailback');
  return instances;
}

/**
 * The snapshot that holds a disk as it was at the recovery point: the copy of a chosen one, or the DR copy. A block map's digest stands on snapshots that hold exactly what it
 * says, so launch copies are none of them.
 */
function copyOf(
  { vm, backupId, disks }: BackupManifest,
  key: string,
  copies: CopySnapshot[],
): { copySnapshotId?: string } {
  const map = disks.find((disk) => disk.key === key)?.blockMapSha256;
  const found = copies.find(
    ({ snapshot, tags }) =>
      snapshot.State === 'completed' &&
      tags.vm === vm &&
      tags.disk === key &&
      tags.recoveryPoint === backupId &&
      tags.blockMap === map,
  );
  return found === undefined ? {} : { copySnapshotId: found.snapshot.SnapshotId };
}

export async function findInstances(ec2: EC2Client, plan: string): Promise<Found[]> {
  const instances = await listInstances(ec2, [
    ...tagFilters({ plan, role: 'recovery' }),
    { Name: 'instance-state-name', Values: ['pending', 'running', 'stopping', 'stopped'] },
  ]);
  const ours = instances.flatMap((instance) => {
    const tags = readInstance(instance.Tags);
    const { InstanceId } = instance;
    return tags === undefined || InstanceId === undefined
      ? []
      : [{ instance: { ...instance, InstanceId }, tags }];
  });
  const volumes: Volume[] = [];
  for (let at = 0; at < ours.length; at += FILTER_VALUES) {
    const ids = ours.slice(at, at + FILTER_VALUES).map(({ instance }) => instance.InstanceId);
    volumes.push(...(await listVolumes(ec2, [{ Name: 'attachment.instance-id', Values: ids }])));
  }
  return ours.map(({ instance, tags }) => ({
    instance,
    tags,
    volumes: volumes.filter(({ Attachments }) =>
      Attachments?.some(({ InstanceId }) => InstanceId === instance.InstanceId),
    ),
  }));
}

/**
 * The instances of the run whose volumes are newest. An instance's own launch time is that of its last start, so that
 * somebody who starts a forgotten instance would make it the newest.
 */
export function newestRun(found: Found[]): Found[] {
  const created = ({ volumes }: Found) =>
    Math.max(0, ...volumes.map(({ CreateTime }) => CreateTime?.getTime() ?? 0));
  const newest = found.reduce<Found | undefined>(
    (best, candidate) => (best === undefined || created(candidate) > created(best) ? candidate : best),
    undefined,
  );
  return found.filter(({ tags }) => tags.run === newest?.tags.run);
}

/** The VM's instance: that of the last attempt, where a shell of an earlier one was left. A problem in words if none. */
export function instanceOf(found: Found[], vm: string): Found | string {
  const candidates = found
    .filter(({ tags }) => tags.vm === vm)
    .sort((a, b) => b.tags.attempt - a.tags.attempt);
  const [last, other] = candidates;
  if (last === undefined) return `There is no instance of ${vm} at the recovery site.`;
  if (other?.tags.attempt === last.tags.attempt)
    return (
      `${vm} has two instances, ${last.instance.InstanceId} and ${other.instance.InstanceId}. ` +
      'Terminate the one that does not serve.'
    );
  return last;
}

/** By its volumes: an instance's own launch time is that of its last start. */
function recoveredAt({ volumes }: Found): { recoveredAt?: string } {
  const times = volumes.flatMap(({ CreateTime }) => (CreateTime === undefined ? [] : [CreateTime.getTime()]));
  return times.length === 0 ? {} : { recoveredAt: new Date(Math.min(...times)).toISOString() };
}

async function instanceTypes(ec2: EC2Client, found: Found[]): Promise<Map<string, InstanceTypeInfo>> {
  const names = [...new Set(found.map(({ instance }) => instance.InstanceType ?? ''))];
  const types = new Map<string, InstanceTypeInfo>();
  // 100 are what one call takes (EC2 API Reference, DescribeInstanceTypes, InstanceType.N); a plan has a handful.
  for (let at = 0; at < names.length; at += 100) {
    const InstanceTypes = names.slice(at, at + 100) as _InstanceType[];
    const answer = await ec2.send(new DescribeInstanceTypesCommand({ InstanceTypes }));
    for (const type of answer.InstanceTypes ?? []) types.set(type.InstanceType ?? '', type);
  }
  return types;
}

function hardwareOf({ instance }: Found, types: Map<string, InstanceTypeInfo>, before: VmConfiguration) {
  const type = types.get(instance.InstanceType ?? '');
  const cpus = type?.VCpuInfo?.DefaultVCpus;
  const memoryMiB = type?.MemoryInfo?.SizeInMiB;
  if (cpus === undefined || memoryMiB === undefined)
    throw new Error(`EC2 does not say what CPUs and memory ${instance.InstanceType} has.`);
  const instanceType = instance.InstanceType ?? '';
  return {
    instanceId: instance.InstanceId,
    instanceType,
    cpus,
    memoryMiB,
    firmware: firmwareOf(instance, before),
  };
}

/** What the instance booted by; where EC2 does not say (it never ran), what the VM had before. */
function firmwareOf({ CurrentInstanceBootMode }: Instance, before: VmConfiguration): Firmware {
  if (CurrentInstanceBootMode === 'uefi') return 'uefi';
  return CurrentInstanceBootMode === 'legacy-bios' ? 'bios' : before.firmware;
}

function withoutDisks({ disks: _, ...rest }: VmConfiguration): Omit<VmConfiguration, 'disks'> {
  return rest;
}

/** The instance's disks by their volumes' tags: exactly those that the VM had, or data would stay behind. */
function disksOf(
  { instance, tags, volumes }: Found,
  before: VmConfiguration,
  problems: string[],
): (DiskConfiguration & { volumeId: string })[] {
  const disks: (DiskConfiguration & { volumeId: string })[] = [];
  for (const volume of volumes) {
    const read = readRecoveredVolume(volume.Tags);
    const known = before.disks.find(({ key }) => key === read?.disk);
    const ours =
      read?.vm === tags.vm &&
      read.run === tags.run &&
      known?.sizeBytes === read.sizeBytes &&
      known.boot === read.boot;
    if (read !== undefined && ours && volume.VolumeId !== undefined)
      disks.push({ ...diskOf(read), volumeId: volume.VolumeId });
    else
      problems.push(
        `The volume ${volume.VolumeId} of ${tags.vm}'s instance ${instance.InstanceId} is none of the VM's disks, or its ` +
          "tags were changed. Move what it holds to the VM's own disks and detach it.",
      );
  }
  for (const { key } of before.disks) {
    const copies = disks.filter((disk) => disk.key === key).length;
    if (copies !== 1)
      problems.push(
        `The instance ${instance.InstanceId} of ${tags.vm} has ${copies === 0 ? 'no volume' : 'several volumes'} ` +
          `for the disk ${key}.`,
      );
  }
  return disks.sort(byPlace);
}
