import { type EC2Client } from '@aws-sdk/client-ec2';
import { type DescribedSnapshot, findSnapshots, taggedSnapshots, type TaggedSnapshot } from './snapshots';
import { readAwaySnapshot, readTags } from './tags';

/** A snapshot of an instance, made while its plan is failed over, with what its tags say. */
type AwaySnapshot = TaggedSnapshot<NonNullable<ReturnType<typeof readAwaySnapshot>>>;

/** What protects a VM while it runs on EC2: a completed snapshot of each volume that its instance had at one instant. */
export interface AwayCopy {
  vm: string;
  /** The instance that it is of. */
  instanceId: string;
  /** ISO 8601, UTC: what was written before is in it. */
  takenAt: string;
  /** Names the call that made it. */
  set: string;
  /** The run that made it. */
  runId: string;
  snapshots: {
    snapshotId: string;
    /** The volume that it is of. */
    volumeId: string;
    /** Key of the disk; absent where the volume is none of the VM's disks, or that was not written down yet. */
    disk?: string;
  }[];
}

/** The newest whole away copy of each of the plan's VMs, by one list. A VM without one is absent. */
export async function findAwayCopies(ec2: EC2Client, plan: string): Promise<Map<string, AwayCopy>> {
  return newestAwayCopies(await findSnapshots(ec2, { plan, role: 'away-copy' }));
}

/** The newest whole away copy among snapshots, by VM. */
export function newestAwayCopies(snapshots: DescribedSnapshot[]): Map<string, AwayCopy> {
  const newest = new Map<string, AwayCopy>();
  for (const copy of wholeAwayCopies(snapshots)) {
    const other = newest.get(copy.vm);
    if (other === undefined || replaces(copy, other)) newest.set(copy.vm, copy);
  }
  return newest;
}

/** Whether a copy takes the place of another: it is newer; of one instant, which of them counts must not depend on AWS's order. */
export function replaces(
  copy: Pick<AwayCopy, 'takenAt' | 'set'>,
  other: Pick<AwayCopy, 'takenAt' | 'set'>,
): boolean {
  const later = Date.parse(copy.takenAt) - Date.parse(other.takenAt);
  return later > 0 || (later === 0 && copy.set < other.set);
}

/** The away copies that are whole: as many snapshots as their tags say, of one call, all completed. */
export function wholeAwayCopies(snapshots: DescribedSnapshot[]): AwayCopy[] {
  const tagged = taggedSnapshots(snapshots, readAwaySnapshot);
  const sets = Map.groupBy(tagged, ({ tags }) => JSON.stringify([tags.vm, tags.set]));
  return [...sets.values()].flatMap((members) => awayCopyOf(members) ?? []);
}

function awayCopyOf(members: AwaySnapshot[]): AwayCopy | undefined {
  const first = members[0]?.tags;
  const volumes = new Set(members.map(({ snapshot }) => snapshot.VolumeId));
  const whole =
    first !== undefined &&
    members.length === first.diskCount &&
    volumes.size === members.length &&
    members.every(
      ({ snapshot, tags }) =>
        snapshot.State === 'completed' &&
        tags.instance === first.instance &&
        tags.takenAt === first.takenAt &&
        tags.run === first.run,
    );
  if (!whole) return undefined;
  const { vm, instance: instanceId, takenAt, set, run: runId } = first;
  return {
    ...{ vm, instanceId, takenAt, set, runId },
    snapshots: members
      .map(({ snapshot: { SnapshotId, VolumeId, Tags } }) => {
        const disk = readTags(Tags, ['disk'])?.disk;
        return {
          snapshotId: SnapshotId,
          volumeId: VolumeId ?? '',
          ...(disk === undefined ? {} : { disk }),
        };
      })
      .sort((a, b) => (a.snapshotId < b.snapshotId ? -1 : 1)),
  };
}
