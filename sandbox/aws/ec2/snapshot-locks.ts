import {
  type DescribeLockedSnapshotsRequest,
  type DescribeLockedSnapshotsResult,
  type LockedSnapshotsInfo,
  type LockSnapshotRequest,
  type LockSnapshotResult,
  type LockState,
  type UnlockSnapshotRequest,
  type UnlockSnapshotResult,
} from '@aws-sdk/client-ec2';
import { type Account, ACCOUNT_ID, now } from '../account';
import { type SnapshotLockRecord, type SnapshotRecord } from '../state/records';
import { AwsError } from '../wire/errors';
import { filterItems } from './filters';
import { checkDryRun, findSnapshot, select } from './lookup';
import { page } from './paging';

/** EC2 API Reference, LockSnapshot. */
const MOST_DAYS = 36_500;
const MOST_COOL_OFF_HOURS = 72;

type LockedRecord = SnapshotRecord & { lock: SnapshotLockRecord };

const isAfter = (time: string | undefined): boolean => time !== undefined && Date.parse(time) > Date.now();
const later = (time: string, milliseconds: number): string =>
  new Date(Date.parse(time) + milliseconds).toISOString();

/** A lock for days on a pending snapshot begins when it is completed ("Considerations", Amazon EBS snapshot lock). */
function startOf({ lock, state, completedAt }: LockedRecord): string | undefined {
  if (state === 'pending') return undefined;
  return completedAt !== undefined && completedAt > lock.createdAt ? completedAt : lock.createdAt;
}

function endOf(account: Account, snapshot: LockedRecord): string | undefined {
  const { expiresAt, days = 0 } = snapshot.lock;
  const start = startOf(snapshot);
  return expiresAt ?? (start === undefined ? undefined : later(start, days * account.times.lockDay * 1000));
}

function stateOf(account: Account, snapshot: LockedRecord): LockState {
  const end = endOf(account, snapshot);
  if (end !== undefined && !isAfter(end)) return 'expired';
  const { mode, coolOffUntil } = snapshot.lock;
  return mode === 'compliance' && isAfter(coolOffUntil) ? 'compliance-cooloff' : mode;
}

/** A lock on a snapshot whose creation failed is cancelled (as above). */
function locked(snapshot: SnapshotRecord): LockedRecord | undefined {
  const { lock, state } = snapshot;
  return lock === undefined || state === 'error' ? undefined : { ...snapshot, lock };
}

/**
 * @throws AwsError SnapshotLocked for a snapshot that is locked. AWS's documents say that it cannot be deleted, and by which code
 * that is said nowhere: whoever is refused has to ask whether it is locked.
 */
export function checkNotLocked(account: Account, snapshot: SnapshotRecord): void {
  const present = locked(snapshot);
  if (present !== undefined && stateOf(account, present) !== 'expired')
    throw new AwsError('SnapshotLocked', `The snapshot ${snapshot.id} is locked and can't be deleted.`);
}

function view(account: Account, snapshot: LockedRecord): LockedSnapshotsInfo {
  const { lock } = snapshot;
  const date = (time: string | undefined): Date | undefined =>
    time === undefined ? undefined : new Date(time);
  return {
    OwnerId: ACCOUNT_ID,
    SnapshotId: snapshot.id,
    LockState: stateOf(account, snapshot),
    LockDuration: lock.days,
    CoolOffPeriod: lock.coolOffHours,
    CoolOffPeriodExpiresOn: date(lock.coolOffUntil),
    LockCreatedOn: date(lock.createdAt),
    LockDurationStartTime: date(startOf(snapshot)),
    LockExpiresOn: date(endOf(account, snapshot)),
  };
}

/** Locks on snapshots, by what the EC2 API Reference says of their parameters. */
export function snapshotLockHandlers(account: Account) {
  return {
    LockSnapshot(input: LockSnapshotRequest): LockSnapshotResult {
      const snapshot = findSnapshot(account, input.SnapshotId);
      const lock = lockOf(account, input);
      if (snapshot.state !== 'pending' && snapshot.state !== 'completed')
        throw new AwsError(
          'IncorrectState',
          `Snapshot '${snapshot.id}' is in the '${snapshot.state}' state.`,
        );
      checkChange(account, snapshot, lock);
      checkDryRun(input);
      const changed = account.snapshots.put({ ...snapshot, lock });
      const { OwnerId: _, ...result } = view(account, { ...changed, lock });
      return result;
    },

    UnlockSnapshot(input: UnlockSnapshotRequest): UnlockSnapshotResult {
      const snapshot = findSnapshot(account, input.SnapshotId);
      const present = locked(snapshot);
      const state = present === undefined ? 'expired' : stateOf(account, present);
      if (state === 'expired' || state === 'compliance')
        throw new AwsError(
          'IncorrectState',
          state === 'expired'
            ? `The snapshot ${snapshot.id} is not locked.`
            : `The snapshot ${snapshot.id} is locked in compliance mode, and its cooling-off period has expired.`,
        );
      checkDryRun(input);
      const { lock: _, ...unlocked } = snapshot;
      account.snapshots.put(unlocked);
      return { SnapshotId: snapshot.id };
    },

    DescribeLockedSnapshots(input: DescribeLockedSnapshotsRequest): DescribeLockedSnapshotsResult {
      const asked = select(account.snapshots, input.SnapshotIds, (id) => findSnapshot(account, id));
      const found = filterItems(
        asked.flatMap((snapshot) => locked(snapshot) ?? []),
        input.Filters,
        { 'lock-state': (snapshot) => [stateOf(account, snapshot)] },
      );
      checkDryRun(input);
      const { items, NextToken } = page(found, input);
      return { Snapshots: items.map((snapshot) => view(account, snapshot)), NextToken };
    },
  };
}

/** The lock that a request asks for. @throws AwsError for parameters that AWS would refuse */
function lockOf(account: Account, input: LockSnapshotRequest): SnapshotLockRecord {
  const { LockMode: mode, LockDuration: days, ExpirationDate: expires, CoolOffPeriod: hours } = input;
  const day = account.times.lockDay * 1000;
  const invalid = (name: string, value: unknown): AwsError =>
    new AwsError('InvalidParameterValue', `Value (${String(value)}) for parameter ${name} is invalid.`);
  if (mode === undefined)
    throw new AwsError('MissingParameter', 'The request must contain the parameter LockMode');
  if (mode !== 'governance' && mode !== 'compliance') throw invalid('LockMode', mode);
  if (days === undefined && expires === undefined)
    throw new AwsError('MissingParameter', 'The request must contain LockDuration or ExpirationDate');
  if (days !== undefined && expires !== undefined)
    throw new AwsError(
      'InvalidParameterCombination',
      'LockDuration and ExpirationDate cannot be specified together.',
    );
  if (days !== undefined && !(Number.isInteger(days) && days >= 1 && days <= MOST_DAYS))
    throw invalid('LockDuration', days);
  if (expires !== undefined && !(expires.getTime() >= Date.now() + day))
    throw invalid('ExpirationDate', expires.toISOString());
  if (hours !== undefined && mode === 'governance')
    throw new AwsError('InvalidParameterCombination', 'CoolOffPeriod is valid in compliance mode only.');
  if (hours !== undefined && !(Number.isInteger(hours) && hours >= 1 && hours <= MOST_COOL_OFF_HOURS))
    throw invalid('CoolOffPeriod', hours);
  const createdAt = now();
  return {
    mode,
    createdAt,
    ...(days === undefined ? {} : { days }),
    ...(expires === undefined ? {} : { expiresAt: expires.toISOString() }),
    ...(hours === undefined
      ? {}
      : { coolOffHours: hours, coolOffUntil: later(createdAt, (hours / 24) * day) }),
  };
}

/** What may become of a lock that is there: in governance mode and in the cooling-off period anything, else only a later end. */
function checkChange(account: Account, snapshot: SnapshotRecord, lock: SnapshotLockRecord): void {
  const present = locked(snapshot);
  if (present === undefined || stateOf(account, present) !== 'compliance') return;
  const before = endOf(account, present) ?? '';
  const after = endOf(account, { ...snapshot, lock }) ?? '';
  if (lock.mode !== 'compliance' || lock.coolOffHours !== undefined || after < before)
    throw new AwsError(
      'InvalidParameterCombination',
      `The snapshot ${snapshot.id} is locked in compliance mode, and its cooling-off period has expired: its lock can only be extended.`,
    );
}
