/**
 * Which backups of a VM are kept. Times are those at which the backups were taken, in UTC: neither the clock of whoever
 * asks nor the backups' ids decide, so a VM that is not backed up any more loses nothing as time goes by.
 */
export interface RetentionPolicy {
  /** The newest so many, at least 1. */
  keepLast: number;
  /** All that were taken at most so many seconds before the newest. */
  keepWithin?: number;
  /** The newest backup of each of the last so many days (weeks from Monday on, months) that have one. */
  keepDaily: number;
  keepWeekly: number;
  keepMonthly: number;
}

/** What retention has to know of a backup. */
export interface DatedBackup {
  backupId: string;
  /** ISO 8601, UTC. */
  takenAt: string;
}

/** Which rule of the policy keeps a backup. */
export type KeepRule = keyof RetentionPolicy;

const DAY_MS = 86_400_000;
/** 1970 began on a Thursday; three days before it was Monday. */
const FIRST_MONDAY_MS = -3 * DAY_MS;

/** The backups that a policy keeps, each with the rules that keep it; the newest is always among them. */
export function keptBackups(
  policy: RetentionPolicy,
  backups: readonly DatedBackup[],
): Map<string, KeepRule[]> {
  const kept = new Map<string, KeepRule[]>();
  const keep = (backupId: string, rule: KeepRule): void => {
    const rules = kept.get(backupId);
    if (rules === undefined) kept.set(backupId, [rule]);
    else rules.push(rule);
  };
  const newestFirst = backups
    .map(({ backupId, takenAt }) => ({ backupId, at: Date.parse(takenAt) }))
    // Of two that were taken at the same instant the greater id counts as newer, whatever order they come in.
    .sort((a, b) => b.at - a.at || (a.backupId < b.backupId ? 1 : -1));
  const newest = newestFirst[0];
  if (newest === undefined) return kept;

  for (const { backupId } of newestFirst.slice(0, Math.max(1, policy.keepLast))) keep(backupId, 'keepLast');
  const since = newest.at - (policy.keepWithin ?? -1) * 1000;
  for (const { backupId, at } of newestFirst) if (at >= since) keep(backupId, 'keepWithin');
  const periods = [
    ['keepDaily', (at: number) => Math.floor(at / DAY_MS)],
    ['keepWeekly', (at: number) => Math.floor((at - FIRST_MONDAY_MS) / (7 * DAY_MS))],
    ['keepMonthly', (at: number) => Number(new Date(at).toISOString().slice(0, 7).replace('-', ''))],
  ] as const;
  for (const [rule, periodOf] of periods) {
    const seen = new Set<number>();
    for (const { backupId, at } of newestFirst) {
      if (seen.size >= policy[rule]) break;
      if (!seen.has(periodOf(at))) keep(backupId, rule);
      seen.add(periodOf(at));
    }
  }
  return kept;
}
