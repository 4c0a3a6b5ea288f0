import { type Route53Client } from '@aws-sdk/client-route-53';
import { type PlannedDnsRecord } from '../../../plan/dns-record';
import { vmsOf } from '../../../plan/record-vms';
import { type RunContext } from '../../../plan/run';
import { type ObjectStore } from '../../../repository/objects/object-store';
import { checkGeneration } from '../../../repository/plans/plan-state';
import { type StoredName } from '../../../repository/plans/record-set';
import { readLoweredTtls, storeLoweredTtls } from '../../../repository/plans/stored-dns';
import { byKey, changeRecords, type ChangeOptions, exchange, type NameChanges } from './batches';
import { type ChangedTtl, type ChangedTtls, type DnsActivities } from './contract';
import { lookUpZone } from './hosted-zone';
import { meanwhileOf, type WantedRecord } from './meanwhile';
import { byName } from './move';
import { keyOf, type LeadingSet, leadingSets, readRecordSets } from './record-sets';

interface TtlDependencies extends ChangeOptions {
  route53: Route53Client;
  store: ObjectStore;
}

/** Stands for the address that a record would get; of what is lowered nothing but the TTL changes. */
const SOME_ADDRESS = '192.0.2.1';

/**
 * Days before a failover that is planned, so that resolvers have forgotten what they were told with the long TTL by then. What
 * was stored first counts as the TTL that a record had, so that a retry, or a plan with a lower TTL, does not take ours for it.
 */
export async function lowerTtls(
  { route53, store, ...options }: TtlDependencies,
  { run, hostedZone, records }: Parameters<DnsActivities['lowerDnsTtls']>[0],
): Promise<ChangedTtls> {
  await checkGeneration(store, run);
  const zone = await lookUpZone(route53, hostedZone);
  const groups = byName(records);
  const names = groups.map(([{ name }]) => name);
  const present = await readRecordSets(route53, hostedZone, zone, names);
  const stored = await readLoweredTtls(store, run.plan);
  const notes: string[] = [];
  const lowered: StoredName[] = [];
  const changes: NameChanges[] = [];
  for (const group of groups) {
    const [{ name, ttl }] = group;
    const sets = present.get(name) ?? [];
    const wanted = group.map(withSomeAddress) as [WantedRecord, ...WantedRecord[]];
    const meanwhile = meanwhileOf(zone.name, wanted, sets, new Set(names));
    if ('problem' in meanwhile) {
      notes.push(`${name} was left as it is, as it cannot be moved: it ${meanwhile.problem}.`);
      continue;
    }
    const known = stored?.names.find((one) => one.name === name);
    const before: LeadingSet[] = [];
    const ours: LeadingSet[] = [];
    const now: LeadingSet[] = [];
    for (const set of ofOneTtl(leadingSets(sets), meanwhile.before)) {
      const first = firstSeen(known, set);
      const goal = { ...set, TTL: Math.min(set.TTL ?? ttl, ttl) };
      if (first.TTL === goal.TTL) continue;
      before.push(first);
      ours.push(goal);
      now.push(set);
    }
    if (ours.length === 0) continue;
    lowered.push({ name, before, ours });
    changes.push(exchange(name, now, ours));
  }
  const others = (stored?.names ?? []).filter(({ name }) => !lowered.some((one) => one.name === name));
  // Before the change: what a record had is nowhere else afterwards.
  if (stored !== undefined || lowered.length > 0)
    await storeLoweredTtls(store, run.plan, [...others, ...lowered], stored);
  await changeRecords(route53, hostedZone, changes, comment(run, 'lowers TTLs'), options);
  return { changed: lowered.flatMap((one) => changedTtls(one, one.before, one.ours)), notes };
}

function withSomeAddress(record: PlannedDnsRecord): WantedRecord {
  const values = record.target === undefined ? vmsOf(record).map(() => SOME_ADDRESS) : [record.target];
  return { ...record, values, ipv6Values: [] };
}

/** The sets that a failover would change, and those that must have the same TTL because they are weighted, too. */
function ofOneTtl(all: readonly LeadingSet[], changed: readonly LeadingSet[]): LeadingSet[] {
  const weighted = new Set(changed.flatMap(({ Weight, Type }) => (Weight === undefined ? [] : [Type])));
  const keys = new Set(changed.map(keyOf));
  return all.filter(
    (set) =>
      set.TTL !== undefined && (keys.has(keyOf(set)) || (set.Weight !== undefined && weighted.has(set.Type))),
  );
}

/** A set as it was before its TTL was lowered first; itself where that is not still in force. */
function firstSeen(known: StoredName | undefined, set: LeadingSet): LeadingSet {
  const key = keyOf(set);
  const ours = known?.ours.find((one) => keyOf(one) === key);
  const before = known?.before.find((one) => keyOf(one) === key);
  return ours !== undefined && before !== undefined && ours.TTL === set.TTL
    ? { ...set, TTL: before.TTL }
    : set;
}

/** Gives back what was lowered. The addresses are nobody's business here: they stay as they are now. */
export async function restoreTtls(
  { route53, store, ...options }: TtlDependencies,
  { run, hostedZone }: Parameters<DnsActivities['restoreDnsTtls']>[0],
): Promise<ChangedTtls> {
  await checkGeneration(store, run);
  const stored = await readLoweredTtls(store, run.plan);
  if (stored === undefined || stored.names.length === 0) return { changed: [], notes: [] };
  const zone = await lookUpZone(route53, hostedZone);
  const names = stored.names.map(({ name }) => name);
  const present = await readRecordSets(route53, hostedZone, zone, names);
  const changed: ChangedTtl[] = [];
  const notes: string[] = [];
  const changes: NameChanges[] = [];
  for (const { name, before, ours } of stored.names) {
    const there = byKey(leadingSets(present.get(name) ?? []));
    const now: LeadingSet[] = [];
    const back: LeadingSet[] = [];
    for (const lowered of ours) {
      const set = there.get(keyOf(lowered));
      const was = before.find((one) => keyOf(one) === keyOf(lowered));
      if (set === undefined || was === undefined) {
        notes.push(`${name} has no ${keyOf(lowered).trim()} record any more.`);
        continue;
      }
      // Given back by an earlier try already: asked for once more, because the wait for the name servers hangs on a change.
      if (set.TTL !== lowered.TTL && set.TTL !== was.TTL) {
        notes.push(
          `${name} (${keyOf(set).trim()}) has a TTL of ${set.TTL ?? 'an alias'} s, which somebody has set meanwhile; it was left as it is.`,
        );
        continue;
      }
      now.push(set);
      back.push({ ...set, TTL: was.TTL });
      changed.push(...changedTtls({ name }, [lowered], [was]));
    }
    changes.push(exchange(name, now, back));
  }
  await changeRecords(route53, hostedZone, changes, comment(run, 'restores TTLs'), options);
  await storeLoweredTtls(store, run.plan, [], stored);
  return { changed, notes };
}

function changedTtls(
  { name }: { name: string },
  from: readonly LeadingSet[],
  to: readonly LeadingSet[],
): ChangedTtl[] {
  return to.flatMap((set, index): ChangedTtl[] => [
    {
      name,
      type: set.Type,
      ...(set.SetIdentifier === undefined ? {} : { setIdentifier: set.SetIdentifier }),
      from: from[index]?.TTL ?? 0,
      to: set.TTL ?? 0,
    },
  ]);
}

const comment = (run: RunContext, what: string) => `Lifeboat: plan ${run.plan} ${what}, run ${run.runId}`;
