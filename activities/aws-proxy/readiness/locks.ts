import { type Finding } from '../../../plan/readiness';
import { type DrPlan } from '../../../plan/schema';
import { secondsText } from '../../../plan/seconds-text';
import { type DrCopySet } from '../account/dr-copy';
import { type LockedDrCopy } from '../account/locked-copies';

/** Replication may take as long as its frequency, and the next round is then still to come. */
const ROUNDS = 2;

/**
 * VMs whose last lock is older than the plan wants. While nothing newer has come, a DR copy that is locked is as good as a new one: how
 * old it may be is another objective.
 * @param present the DR copies of today
 * @param locked all that are locked, by VM
 */
export function lockFindings(
  { replication: { frequency, lock } }: Pick<DrPlan, 'replication'>,
  present: Iterable<DrCopySet>,
  locked: ReadonlyMap<string, LockedDrCopy[]>,
  now: Date,
): Finding[] {
  if (lock === undefined) return [];
  const most = lock.every + ROUNDS * frequency;
  return [...present].flatMap(({ vm, recoveryPoint }): Finding[] => {
    const copies = locked.get(vm) ?? [];
    if (copies.some((copy) => copy.recoveryPoint === recoveryPoint)) return [];
    const last = copies.map(({ lockedAt }) => lockedAt).sort((a, b) => Date.parse(b) - Date.parse(a))[0];
    if (last !== undefined && now.getTime() - Date.parse(last) <= most * 1000) return [];
    const wanted = `the plan wants one in ${secondsText(lock.every)}`;
    return [
      {
        code: 'dr-copy-lock',
        severity: 'warning',
        vm,
        text:
          last === undefined
            ? `No DR copy of ${vm} is locked; ${wanted}. Whoever may delete snapshots can delete all that there is of it.`
            : `The last DR copy of ${vm} was locked at ${last}; ${wanted}.`,
        todo: 'Restore it: lifeboat restore PLAN locks it, or says why not. The AWS proxy needs ec2:LockSnapshot.',
        about: last === undefined ? 'none' : wanted,
      },
    ];
  });
}
