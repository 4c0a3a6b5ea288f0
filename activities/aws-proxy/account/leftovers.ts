import { type EC2Client, type Tag } from '@aws-sdk/client-ec2';
import { type PlanPhase } from '../../../plan/run';
import { type AwayCopy, newestAwayCopies, replaces } from './away-copy';
import { copySnapshots, newestSets } from './dr-copy';
import { instanceMonth, snapshotMonthAtMost, volumeMonth } from './prices';
import { findAll, type Found, removeOnce } from './clean-up';
import { keptRuns } from './kept-tests';
import { readAwaySnapshot, readCopySnapshot, readLaunchSnapshot, readTags, type Role } from './tags';
import { waitFor, type WaitOptions } from './waiting';

/** Something that Lifeboat made for the plan, and that neither a run nor a DR copy needs any more. */
export interface Leftover {
  kind: 'instance' | 'volume' | 'snapshot' | 'image' | 'network-interface';
  id: string;
  state: string;
  role: Role;
  vm: string;
  /** The run that made it. */
  runId: string;
  /** ISO 8601, UTC; absent where AWS does not say. */
  createdAt: string | undefined;
  /** Why nobody needs it. */
  reason: string;
  /** US dollars, list price; absent where none is known. Of a snapshot: at most. */
  monthlyCost: number | undefined;
}

/** What is known about who may need a resource. */
export interface Needs {
  plan: string;
  phase: PlanPhase | 'none';
  /** The run that holds the plan's state, which another Temporal server may be driving. */
  holder: string | undefined;
  /** Runs of the plan that are under way. */
  liveRuns: ReadonlySet<string>;
  /** Resources that are younger are left alone: their run may be one that nobody here knows of. */
  madeBefore: Date;
  /** Whether tests go that are kept, although their time is not over. */
  keptTests?: boolean;
}

/** Phases in which the application lives, or may live, on what a failover made. */
const AWAY: ReadonlySet<Needs['phase']> = new Set([
  'failing-over',
  'failed-over',
  'failing-back',
  'failed-back',
]);

const REASONS: Record<Exclude<Role, 'dr-copy'>, string> = {
  'pending-copy': 'its restore ended without it',
  'pending-launch-copy': 'its restore ended without it',
  'launch-copy': 'the DR copy that it is of has been replaced',
  'point-copy': 'what was made of it has ended',
  'launch-image': 'what was launched by it runs, or its failover has ended',
  'copy-volume': 'its restore has ended',
  recovery: 'the application runs at the primary site',
  test: 'its test failover has ended',
  shell: 'its failover has ended',
  failback: 'its failback has ended',
  'away-copy': 'the application runs at the primary site',
};

/** Everything that carries the plan's tags and is needed by nobody, the oldest first, also what is locked. Changes nothing. */
export async function findLeftovers(ec2: EC2Client, needs: Needs): Promise<Leftover[]> {
  return leftoversOf(await findAll(ec2, { plan: needs.plan }), needs);
}

/**
 * Removes leftovers, and looks again until none of them is listed. What is listed again is judged again, by its tags as
 * they are then.
 * @returns ids of what is gone, sorted
 */
export async function removeLeftovers(
  ec2: EC2Client,
  needs: Needs,
  ids: ReadonlySet<string>,
  options: WaitOptions = {},
): Promise<string[]> {
  const removed = new Set<string>();
  const kept = new Set<string>();
  await waitFor(
    `what the plan ${needs.plan} does not need to be gone`,
    async () => {
      const found = await findAll(ec2, { plan: needs.plan });
      const left = new Set(
        leftoversOf(found, needs)
          .map(({ id }) => id)
          .filter((id) => ids.has(id) && !kept.has(id)),
      );
      if (left.size === 0) return true;
      for (const id of left) removed.add(id);
      for (const id of await removeOnce(ec2, only(found, left))) kept.add(id);
      return undefined;
    },
    // By whoever asks for it, in no activity.
    { ...options, uncancelled: true },
  );
  return [...removed].filter((id) => !kept.has(id)).sort();
}

function only(found: Found, ids: ReadonlySet<string>): Found {
  const chosen = (id: string | undefined): boolean => ids.has(id ?? '');
  return {
    // One on its way out is no leftover any more, and takes its volumes with it: they cannot be taken off it.
    instances: found.instances.filter(
      ({ InstanceId, State }) => chosen(InstanceId) || State?.Name === 'shutting-down',
    ),
    volumes: found.volumes.filter(({ VolumeId }) => chosen(VolumeId)),
    interfaces: found.interfaces.filter(({ NetworkInterfaceId }) => chosen(NetworkInterfaceId)),
    snapshots: found.snapshots.filter(({ SnapshotId }) => chosen(SnapshotId)),
    images: found.images.filter(({ ImageId }) => chosen(ImageId)),
  };
}

function leftoversOf(found: Found, needs: Needs): Leftover[] {
  const currentCopies = currentDrCopies(found);
  const awayCopies = newestAwayCopies(found.snapshots);
  const bootedFrom = AWAY.has(needs.phase) ? pointsInUse(found) : new Set<string>();
  const kept = keptRuns(found.instances);
  const now = new Date().toISOString();
  const judge = (
    one: Omit<Leftover, 'role' | 'vm' | 'runId' | 'reason' | 'createdAt'>,
    tags: Tag[] | undefined,
    createdAt: Date | undefined,
  ): Leftover[] => {
    // A set of tags that is not whole may be anybody's.
    const ours = readTags(tags, ['plan', 'run', 'vm', 'role', 'mode']);
    if (ours === undefined || ours.plan !== needs.plan) return [];
    // Whatever AWS gives no time for is young.
    if (createdAt === undefined || createdAt >= needs.madeBefore) return [];
    if (needs.liveRuns.has(ours.run)) return [];
    const { role: kind, run, mode } = ours;
    // A test's are nobody's who is away.
    const ofTest = mode === 'test' || kind === 'test';
    const until = ofTest ? kept.get(run) : undefined;
    if (until !== undefined && until > now && needs.keptTests !== true) return [];
    const around = mode === 'test' ? { ...needs, phase: 'protected' as const } : needs;
    const needless = reasonOf(one.id, kind, run, tags, around, currentCopies, awayCopies);
    if (needless === undefined || (kind === 'dr-copy' && bootedFrom.has(pointOf(tags)))) return [];
    const reason = until === undefined ? needless : `its test was kept until ${until}`;
    const { role, vm, run: runId } = ours;
    return [{ ...one, role, vm, runId, reason, createdAt: createdAt.toISOString() }];
  };
  const { instances, volumes, interfaces, snapshots, images } = found;
  return [
    ...instances
      .filter(({ State }) => State?.Name !== 'terminated' && State?.Name !== 'shutting-down')
      .flatMap(({ InstanceId: id = '', State, Tags, LaunchTime, InstanceType }) => {
        const state = State?.Name ?? 'unknown';
        // One that is stopped costs its volumes alone, which are told by themselves.
        const monthlyCost = state === 'stopped' || state === 'stopping' ? 0 : instanceMonth(InstanceType);
        return judge({ kind: 'instance', id, state, monthlyCost }, Tags, LaunchTime);
      }),
    ...volumes.flatMap(
      ({ VolumeId: id = '', State: state = 'unknown', Tags, CreateTime, VolumeType, Size }) =>
        judge({ kind: 'volume', id, state, monthlyCost: volumeMonth(VolumeType, Size) }, Tags, CreateTime),
    ),
    ...snapshots.flatMap(({ SnapshotId: id, State: state = 'unknown', Tags, StartTime, VolumeSize }) =>
      judge({ kind: 'snapshot', id, state, monthlyCost: snapshotMonthAtMost(VolumeSize) }, Tags, StartTime),
    ),
    // Their snapshots cost, and are a DR copy's; a date that AWS does not give is a date that is young.
    ...images.flatMap(({ ImageId: id = '', State: state = 'unknown', Tags, CreationDate }) =>
      judge(
        { kind: 'image', id, state, monthlyCost: 0 },
        Tags,
        CreationDate === undefined ? undefined : new Date(CreationDate),
      ),
    ),
    // They cost nothing, and have no time of their own: those of an instance are as old as it.
    ...interfaces
      .filter(({ Status }) => Status === 'available')
      .flatMap(({ NetworkInterfaceId: id = '', Status: state = 'unknown', TagSet }) =>
        judge({ kind: 'network-interface', id, state, monthlyCost: 0 }, TagSet, new Date(0)),
      ),
  ].sort((a, b) => ((a.createdAt ?? '') < (b.createdAt ?? '') ? -1 : 1));
}

/**
 * The recovery points that the application at the recovery site began with. A DR copy of one is asked for by the failback, which copies
 * what differs from it, also where it was an older one that was locked.
 */
function pointsInUse({ instances, volumes }: Found): Set<string> {
  return new Set([...instances, ...volumes].map(({ Tags }) => pointOf(Tags)).filter((point) => point !== ''));
}

function pointOf(tags: Tag[] | undefined): string {
  const read = readTags(tags, ['vm', 'recoveryPoint']);
  return read === undefined ? '' : `${read.vm} ${read.recoveryPoint}`;
}

/** @returns undefined where it is needed, or may be */
function reasonOf(
  id: string,
  role: Role,
  run: string,
  tags: Tag[] | undefined,
  needs: Needs,
  current: ReadonlyMap<string, CurrentCopy>,
  awayCopies: ReadonlyMap<string, AwayCopy>,
): string | undefined {
  if (role === 'dr-copy') {
    const copy = readCopySnapshot(tags);
    const newest = current.get(copy?.vm ?? '');
    // Without a complete copy that is newer, half of one is better than none.
    if (copy === undefined || newest === undefined || newest.ids.has(id)) return undefined;
    return copy.takenAt <= newest.takenAt ? `the DR copy of ${newest.takenAt} has replaced it` : undefined;
  }
  if (role === 'launch-copy') {
    const copy = readLaunchSnapshot(tags);
    const newest = current.get(copy?.vm ?? '');
    return copy === undefined || newest === undefined || copy.recoveryPoint === newest.recoveryPoint
      ? undefined
      : REASONS[role];
  }
  if (role === 'away-copy') {
    const copy = readAwaySnapshot(tags);
    const newest = awayCopies.get(copy?.vm ?? '');
    if (!AWAY.has(needs.phase)) return REASONS[role];
    return copy !== undefined && newest !== undefined && replaces(newest, copy)
      ? `the copy of ${newest.takenAt} has replaced it`
      : undefined;
  }
  // A point's copy, as what was made of it: it is in its lineage, which tells what a failback has to copy.
  if (role === 'recovery' || role === 'shell' || role === 'point-copy')
    return AWAY.has(needs.phase) ? undefined : REASONS[role];
  // What was launched by it runs on without it.
  if (role === 'launch-image')
    return run === needs.holder && needs.phase === 'failing-over' ? undefined : REASONS[role];
  // Whoever holds a plan on its way may do so by another Temporal server.
  if (run === needs.holder && AWAY.has(needs.phase)) return undefined;
  return REASONS[role];
}

interface CurrentCopy {
  ids: ReadonlySet<string>;
  takenAt: string;
  recoveryPoint: string;
}

/** Snapshots of the newest complete DR copy, by VM. */
function currentDrCopies({ snapshots }: Found) {
  const published = copySnapshots(snapshots).filter(({ tags }) => tags.role === 'dr-copy');
  const current = new Map<string, CurrentCopy>();
  for (const [vm, { disks, takenAt, recoveryPoint }] of newestSets(published))
    current.set(vm, { ids: new Set(disks.map(({ snapshotId }) => snapshotId)), takenAt, recoveryPoint });
  return current;
}
