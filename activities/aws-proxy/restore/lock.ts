import { type EC2Client, LockSnapshotCommand } from '@aws-sdk/client-ec2';
import { type RepositoryAddress } from '../../../plan/run';
import { lockPeriod } from '../../../plan/snapshot-lock';
import { type ObjectStore } from '../../../repository/objects/object-store';
import { checkPlanState } from '../../../repository/plans/plan-state';
import { withFailures } from '../../failures';
import { whileBeating } from '../../heartbeat';
import { completeSets, findCopySnapshots, notYetVisible } from '../account/dr-copy';
import { lockedCopies } from '../account/locked-copies';
import { findLocks } from '../account/snapshot-locks';
import { type LockResult, type RestoreActivities } from './contract';

export interface LockDependencies {
  ec2: EC2Client;
  objectStore: (address: RepositoryAddress) => ObjectStore;
  /** The present time; this host's clock where absent. */
  now?: () => Date;
}

type LockActivities = Pick<RestoreActivities, 'lockDrCopy'>;
type Input = Parameters<LockActivities['lockDrCopy']>[0];

const HOUR = 3600;
const DAY = 86_400;

/** Locks DR copies, as often as the plan says. Nothing ever unlocks one: the role of the AWS proxy may not. */
export function createLockActivities(dependencies: LockDependencies): LockActivities {
  return withFailures({
    lockDrCopy: (input) => whileBeating(() => lockDrCopy(dependencies, input)),
  } satisfies LockActivities);
}

async function lockDrCopy(
  { ec2, objectStore, now = () => new Date() }: LockDependencies,
  { run, vm, recoveryPoint, lock }: Input,
): Promise<LockResult> {
  const sets = completeSets(vm, await findCopySnapshots(ec2, { plan: run.plan, vm, role: 'dr-copy' }));
  const present = sets.find((set) => set.recoveryPoint === recoveryPoint);
  if (present === undefined) throw notYetVisible(vm);
  const ids = sets.flatMap(({ disks }) => disks.map(({ snapshotId }) => snapshotId));
  const locks = await findLocks(ec2, ids);
  const [own] = lockedCopies([present], locks);
  // Which was locked last, whichever is the newest: an older one can have been locked later, by hand.
  const [last] = lockedCopies(sets, locks).sort((a, b) => Date.parse(b.lockedAt) - Date.parse(a.lockedAt));
  const due = last === undefined || lockPeriod(lock, new Date(last.lockedAt)) < lockPeriod(lock, now());
  // While nothing newer comes, the DR copy's own lock is not made longer: that would be a lock without an end.
  const kept = own ?? (due ? undefined : last);
  if (kept !== undefined) {
    const { takenAt, until } = kept;
    return { outcome: 'kept', recoveryPoint: kept.recoveryPoint, takenAt, until };
  }

  // What is locked in compliance mode cannot be taken back.
  await checkPlanState(objectStore(run.repository), run);
  const { mode, keep, coolOff } = lock;
  const ends: string[] = [];
  for (const { snapshotId: SnapshotId } of present.disks) {
    const held = locks.get(SnapshotId)?.until;
    if (held !== undefined) {
      // By a try before this one, which came no further.
      ends.push(held);
      continue;
    }
    const { LockExpiresOn } = await ec2.send(
      new LockSnapshotCommand({
        SnapshotId,
        LockMode: mode,
        LockDuration: keep / DAY,
        ...(typeof coolOff === 'number' ? { CoolOffPeriod: coolOff / HOUR } : {}),
      }),
    );
    ends.push((LockExpiresOn ?? new Date(now().getTime() + keep * 1000)).toISOString());
  }
  return { outcome: 'locked', recoveryPoint, takenAt: present.takenAt, until: ends.sort()[0] ?? '' };
}
