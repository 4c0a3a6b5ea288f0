import { type ResourceRecordSet } from '@aws-sdk/client-route-53';
import { type StoredName } from '../../../repository/plans/record-set';
import { byKey, exchange, type NameChanges } from './batches';
import { isLeading, keyOf, leadsAlike, type LeadingSet, leadingSets, setText } from './record-sets';

/** What happens to one name on the way home. */
export interface Homecoming {
  record: StoredName;
  changes: NameChanges;
  /** Whether the name has what it had before, or gets it by the changes. */
  home: boolean;
  /** All leading record sets that the name has afterwards. */
  after: LeadingSet[];
  notes: string[];
}

/** A name that was moved: what it has, what it had, and what Lifeboat gave it, also in earlier failovers. */
interface Moved {
  record: StoredName;
  present: Map<string, LeadingSet>;
  before: Map<string, LeadingSet>;
  everOurs: LeadingSet[];
}

/**
 * What to do with each name: the newest failover's, and those of earlier ones that still have a value of ours. Whether a name is
 * ours is told by its A or CNAME record; what stands beside it follows, but for what somebody else has set there since.
 * @param history newest first
 */
export function planReturn(
  history: StoredName[][],
  present: ReadonlyMap<string, ResourceRecordSet[]>,
): Homecoming[] {
  const newest = new Set(history[0]?.map(({ name }) => name));
  return [...present].flatMap(([name, sets]): Homecoming[] => {
    const records = history.flat().filter((record) => record.name === name);
    const [record] = records;
    if (record === undefined) return [];
    const moved: Moved = {
      record,
      present: byKey(leadingSets(sets)),
      before: byKey(record.before),
      everOurs: records.flatMap(({ ours }) => ours),
    };
    const keys = [...new Set([...record.before, ...record.ours].map(keyOf))];
    const primary = keys.filter((key) => /^(A|CNAME) /.test(key));
    if (primary.every((key) => isOurs(moved, key))) return [bringHome(moved, keys, sets)];
    if (!newest.has(name)) return [];
    if (primary.every((key) => isHome(moved, key))) return [bringHome(moved, keys, sets)];
    return [leftAlone(moved, 'is no longer what Lifeboat had set it to')];
  });
}

/** Whether a key has what we gave it; what we took away counts as ours for as long as nobody puts something there. */
function isOurs({ present, record, everOurs }: Moved, key: string): boolean {
  const now = present.get(key);
  if (now === undefined) return !record.ours.some((set) => keyOf(set) === key);
  return everOurs.some((ours) => leadsAlike(ours, now));
}

function isHome({ present, before }: Moved, key: string): boolean {
  const now = present.get(key);
  const then = before.get(key);
  return now === undefined || then === undefined ? now === then : leadsAlike(now, then);
}

function bringHome(moved: Moved, keys: string[], all: readonly ResourceRecordSet[]): Homecoming {
  const { record, present, before } = moved;
  const away: LeadingSet[] = [];
  const back: LeadingSet[] = [];
  const after = new Map(present);
  const notes: string[] = [];
  for (const key of keys) {
    const now = present.get(key);
    const then = before.get(key);
    const ours = isOurs(moved, key);
    if (!ours && !isHome(moved, key)) {
      notes.push(
        now === undefined
          ? `${record.name} had ${then === undefined ? key : setText(then)}, in whose place somebody has removed ours; it was not put back.`
          : `${record.name} has ${setText(now)}, which somebody has set meanwhile; it was left as it is.`,
      );
      continue;
    }
    // Home already, by an earlier try: asked for again as it is, because the wait for the name servers hangs on a change.
    const wanted = ours ? then : now;
    if (now !== undefined) away.push(now);
    if (wanted !== undefined) back.push(wanted);
    if (wanted === undefined) after.delete(key);
    else after.set(key, wanted);
  }
  const others = all.filter((set) => !isLeading(set)).map(({ Type }) => Type);
  if (others.length > 0 && back.some(({ Type }) => Type === 'CNAME'))
    return leftAlone(moved, `has ${others.join(' and ')} records now, beside which its CNAME cannot be`);
  notes.push(
    ...[...present]
      .filter(([key, { Type }]) => Type === 'AAAA' && !keys.includes(key))
      .filter(([, set]) => set.SetIdentifier === undefined)
      .map(
        ([, set]) => `${record.name} has ${setText(set)}, which it did not have before; look where it leads.`,
      ),
  );
  const changes = exchange(record.name, away, back);
  return { record, changes, home: true, after: [...after.values()], notes };
}

function leftAlone({ record, present }: Moved, why: string): Homecoming {
  const has = [...present.values()].map(setText).join('; ') || 'nothing';
  const had = record.before.map(setText).join('; ') || 'nothing';
  return {
    record,
    changes: { name: record.name, changes: [] },
    home: false,
    after: [...present.values()],
    notes: [`${record.name} ${why}; it was left alone. It has ${has}; before the failover it had ${had}.`],
  };
}
