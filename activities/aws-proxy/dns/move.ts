import { type ResourceRecordSet } from '@aws-sdk/client-route-53';
import { ApplicationFailure } from '@temporalio/common';
import { type StoredName } from '../../../repository/plans/record-set';
import { byKey, exchange, type NameChanges } from './batches';
import { meanwhileOf, type WantedRecord } from './meanwhile';
import { keyOf, leadsAlike, type LeadingSet, leadingSets } from './record-sets';

/** A name on its way to the recovery site. */
export interface Move {
  stored: StoredName;
  changes: NameChanges;
  /** All leading record sets that the name has afterwards. */
  after: LeadingSet[];
  notes: string[];
}

interface MoveInput {
  hostedZone: string;
  /** The zone's name. */
  zone: string;
  wanted: WantedRecord[];
  present: ReadonlyMap<string, ResourceRecordSet[]>;
  /** What the run's generation has stored already. */
  own: StoredName[] | undefined;
  /** What this and earlier generations have stored, newest first. */
  history: StoredName[];
}

/**
 * The moves of all names, each from what it has at home. What this generation stored first counts as that, so that a retry does
 * not take our own values for the previous ones; and where an earlier failover's value is still there (its run was lost), what
 * was there before that.
 * @throws ApplicationFailure UnmovableRecord, non-retryable, naming all that cannot be moved
 */
export function planMove({ hostedZone, zone, wanted, present, own, history }: MoveInput): Move[] {
  const moved = new Set(wanted.map(({ name }) => name));
  const problems: string[] = [];
  const moves = byName(wanted).flatMap((records): Move[] => {
    const { name } = records[0];
    const sets = present.get(name) ?? [];
    const source = own?.find((one) => one.name === name) ?? earlierMove(name, sets, history);
    const meanwhile = meanwhileOf(zone, records, asAtHome(sets, source), moved);
    if ('problem' in meanwhile) {
      problems.push(`${name} ${meanwhile.problem}`);
      return [];
    }
    const { before, ours, notes } = meanwhile;
    const keys = new Set([...before, ...ours, ...(source?.ours ?? [])].map(keyOf));
    const now = leadingSets(sets);
    const replaced = now.filter((set) => keys.has(keyOf(set)));
    return [
      {
        stored: { name, before, ours },
        changes: exchange(name, replaced, ours),
        after: [...now.filter((set) => !keys.has(keyOf(set))), ...ours],
        notes,
      },
    ];
  });
  if (problems.length > 0)
    throw ApplicationFailure.nonRetryable(
      `In the zone ${hostedZone}, nothing was changed: ${problems.join('; ')}.`,
      'UnmovableRecord',
    );
  return moves;
}

/** The plan's records, those of one name together, in the plan's order. */
export function byName<Record extends { name: string }>(records: readonly Record[]): [Record, ...Record[]][] {
  return [...Map.groupBy(records, ({ name }) => name).values()] as [Record, ...Record[]][];
}

/** The newest move of a name whose value is still there. */
function earlierMove(
  name: string,
  sets: readonly ResourceRecordSet[],
  history: readonly StoredName[],
): StoredName | undefined {
  const now = byKey(leadingSets(sets));
  const earlier = history.filter((one) => one.name === name);
  const isThere = ({ ours }: StoredName): boolean =>
    ours.length > 0 &&
    ours.every((set) => {
      const there = now.get(keyOf(set));
      return there !== undefined && leadsAlike(set, there);
    });
  return earlier.some(isThere) ? earlier[0] : undefined;
}

/** What a name would have if it had not been moved. */
function asAtHome(sets: readonly ResourceRecordSet[], moved: StoredName | undefined): ResourceRecordSet[] {
  if (moved === undefined) return [...sets];
  const ours = new Set([...moved.before, ...moved.ours].map(keyOf));
  return [
    ...sets.filter((set) => !ours.has(keyOf(set as LeadingSet))),
    ...(moved.before as ResourceRecordSet[]),
  ];
}
