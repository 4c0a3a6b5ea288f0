/**
 * Lines of recovery points. A failover to an older point begins a new one: what was backed up after that point, and is perhaps
 * what an attacker encrypted, is then a line that people have turned away from. It stays in the repository, but nothing takes
 * it for the newest any more.
 */

/** Which recovery points a failover is asked for, where not for those that the DR copies hold: one of the two. */
export interface PointChoice {
  /** ISO 8601 with its zone: of each VM the newest backup of that instant or before. */
  at?: string;
  /** Id of a backup: that one, and of the other VMs what belongs to it. */
  point?: string;
}

/** A recovery point that was chosen for a VM. */
export interface ChosenPoint {
  vm: string;
  /** Id of the backup. */
  recoveryPoint: string;
  /** ISO 8601, UTC: the instant that the disks are of. */
  takenAt: string;
}

/** What the application at the recovery site goes on from, where that was chosen. */
export interface ChosenLine extends PointChoice {
  /** ISO 8601, UTC: the latest instant of the chosen points. What was backed up after it is of the other line. */
  after: string;
  /** The failover has been undone but for its commit: the VMs at home were the line all the time. */
  undone?: true;
}

/** Backups that were taken after one instant (ISO 8601, UTC), and begun until another. */
export interface TurnedAwayLine {
  after: string;
  until: string;
}

/** What a plan's state knows of lines; both absent where no failover went to an older point. */
export interface Lines {
  /** Of the failover under way, or done; until its failback is committed, or it is taken back. */
  chosen?: ChosenLine;
  /** The latest first. */
  turnedAway?: TurnedAwayLine[];
}

/** Disasters whose turned-away backups are remembered; retention has long retired those of earlier ones. */
const REMEMBERED = 50;

/** Whether a backup is of a line that people have turned away from. */
export function isTurnedAway(
  { chosen, turnedAway = [] }: Lines,
  { backupId, takenAt }: { backupId: string; takenAt: string },
): boolean {
  const at = Date.parse(takenAt);
  return (
    (chosen !== undefined && chosen.undone !== true && at > Date.parse(chosen.after)) ||
    turnedAway.some(({ after, until }) => at > Date.parse(after) && begunAt(backupId) <= Date.parse(until))
  );
}

/**
 * The lines of a state that goes on to another phase. Home again for good after a failback, what came home is the line; home
 * again without one, it is the VMs that were there all the time.
 */
export function linesAfter(
  before: Lines & { phase: string; undoing?: string },
  to: string,
  now: Date,
): Lines {
  const { chosen, turnedAway } = before;
  if (chosen === undefined) return linesOf({ turnedAway });
  const { undone, ...line } = chosen;
  if (to === 'failed-back' && before.undoing === 'failover')
    return linesOf({ chosen: { ...line, undone: true }, turnedAway });
  // A failback that is undone leads to the instances again, whatever it was.
  if (to === 'failed-over') return linesOf({ chosen: line, turnedAway });
  if (to !== 'protected') return linesOf({ chosen, turnedAway });
  if (before.phase !== 'failed-back' || undone === true) return linesOf({ turnedAway });
  const left = { after: line.after, until: now.toISOString() };
  return { turnedAway: [left, ...(turnedAway ?? [])].slice(0, REMEMBERED) };
}

/** Without what is absent. */
function linesOf({ chosen, turnedAway }: Lines): Lines {
  return {
    ...(chosen === undefined ? {} : { chosen }),
    ...(turnedAway === undefined ? {} : { turnedAway }),
  };
}

/** Milliseconds since 1970 at which a backup was begun, by the clock of its run: ids begin with it, to the second. */
export function begunAt(backupId: string): number {
  const [, date, time] = /^(\d{8})T(\d{6})Z-/.exec(backupId) ?? [];
  if (date === undefined || time === undefined) return Number.POSITIVE_INFINITY;
  const [year, month, day] = [date.slice(0, 4), date.slice(4, 6), date.slice(6)];
  return Date.parse(`${year}-${month}-${day}T${time.slice(0, 2)}:${time.slice(2, 4)}:${time.slice(4)}Z`);
}
