import { type ResourceRecordSet } from '@aws-sdk/client-route-53';
import { type PlannedDnsRecord } from '../../../plan/dns-record';
import { meanwhileValue } from './service-hints';
import { isLeading, keyOf, type LeadingSet, leadingSets, setText, valuesOf } from './record-sets';

/** A record of the plan, and where it leads while the plan is away. */
export interface WantedRecord extends PlannedDnsRecord {
  /** IPv4 addresses, or the one name that a CNAME leads to. */
  values: string[];
  /** IPv6 addresses of the same instances; none where they have none. */
  ipv6Values: string[];
}

/** What becomes of a name. */
export interface Meanwhile {
  /** Record sets that are taken away or replaced. */
  before: LeadingSet[];
  /** What the name has in their place. */
  ours: LeadingSet[];
  /** What a person should know, one sentence each. */
  notes: string[];
}

/** A name that cannot be moved, and why, to follow the name. */
export interface Unmovable {
  problem: string;
}

interface Name {
  name: string;
  /** Those of the plan for this name: one, or one for each record set of it. */
  records: [WantedRecord, ...WantedRecord[]];
  sets: LeadingSet[];
  /** Identifiers that the plan names; none where its record is a simple one. */
  identifiers: Set<string>;
}

/**
 * What a name has while the plan is away: the plan's records go to the recovery site, and nothing beside them goes on leading
 * home. Asked of what the name had at home; whether that can be had back exactly is why some names are refused.
 * @param zone name of the zone; nothing that its own servers do not answer for can be moved
 * @param present all record sets of the name
 * @param moved names that the plan moves
 */
export function meanwhileOf(
  zone: string,
  records: [WantedRecord, ...WantedRecord[]],
  present: readonly ResourceRecordSet[],
  moved: ReadonlySet<string>,
): Meanwhile | Unmovable {
  const [first] = records;
  const refused = outrightProblem(zone, first, present);
  if (refused !== undefined) return { problem: refused };
  const identifiers = new Set(records.flatMap(({ setIdentifier }) => setIdentifier ?? []));
  const name: Name = { name: first.name, records, sets: leadingSets(present), identifiers };
  const primary = first.type === 'CNAME' ? 'CNAME' : 'A';
  const problem = policyProblem(name, primary) ?? replacementProblem(name);
  if (problem !== undefined) return { problem };

  const replaced = name.sets.filter(
    (set) => (set.Type === 'A' || set.Type === 'CNAME') && isNamed(name, set),
  );
  const before = [...replaced];
  const ours = records.map((record) => primarySet(name, record, primary));
  const notes: string[] = [];
  for (const set of name.sets.filter(({ Type }) => Type !== 'A' && Type !== 'CNAME')) {
    if (!isNamed(name, set)) {
      notes.push(`${name.name} has ${setText(set)} beside, which the plan does not name; it stays as it is.`);
      continue;
    }
    const becomes = primary === 'CNAME' ? undefined : besideSet(name, set, moved);
    if (becomes === set) continue;
    before.push(set);
    if (becomes !== undefined && !ours.some((one) => keyOf(one) === keyOf(becomes))) ours.push(becomes);
    notes.push(besideNote(name, set, becomes));
  }
  notes.push(...replaced.flatMap((set) => healthCheckNote(name, set)));
  return { before, ours, notes };
}

/**
 * Whether the plan's records mean this set: all of the name where they mean simple ones. One without identifier beside those of a
 * policy is of another type, and answers everybody.
 */
function isNamed({ identifiers }: Name, { SetIdentifier }: LeadingSet): boolean {
  return identifiers.size === 0 || SetIdentifier === undefined || identifiers.has(SetIdentifier);
}

function outrightProblem(
  zone: string,
  { name, type }: WantedRecord,
  present: readonly ResourceRecordSet[],
): string | undefined {
  if (present.some(({ Type }) => Type === 'NS') && name !== zone)
    return 'is delegated to other name servers by its NS record, so that nobody would see a change here; move it in their zone';
  if (present.some((set) => isLeading(set) && set.TrafficPolicyInstanceId !== undefined))
    return 'is made by a traffic policy, whose records nobody else can change; replace the policy record';
  if (type !== 'CNAME') return undefined;
  if (name === zone) return 'is the zone itself, where no CNAME record can be; move its A record';
  const others = new Set(present.filter((set) => !isLeading(set)).map(({ Type }) => Type));
  return others.size === 0
    ? undefined
    : `has ${[...others].join(' and ')} records, beside which no CNAME record can be; move its A record`;
}

/** What is wrong between the record sets that the plan names and those that there are. */
function policyProblem({ sets, identifiers }: Name, primary: 'A' | 'CNAME'): string | undefined {
  const own = sets.filter(({ Type }) => Type === primary);
  const there = own.flatMap(({ SetIdentifier }) => SetIdentifier ?? []);
  const list = there.map((one) => `"${one}"`).join(', ');
  if (identifiers.size === 0)
    return there.length === 0
      ? undefined
      : `has a routing policy, with the ${primary} record sets ${list}: say by "setIdentifier" which of them the plan moves; the others and the policy stay`;
  const missing = [...identifiers].filter((one) => !there.includes(one));
  if (missing.length === 0) return undefined;
  const names = missing.map((one) => `"${one}"`).join(', ');
  return there.length > 0
    ? `has no ${primary} record set ${names}; it has ${list}`
    : `has no ${primary} record set ${names}: it has no routing policy; take setIdentifier out`;
}

/** A CNAME and an alias lead to a name that may be anything: replaced only where the plan says the type. */
function replacementProblem({ sets, identifiers, records: [{ type }] }: Name): string | undefined {
  const cname = sets.find(({ Type }) => Type === 'CNAME');
  if (cname !== undefined && type !== 'CNAME') {
    if (identifiers.size > 0)
      return 'is a CNAME record, so it can have no A record sets; say "type: CNAME" and a "target"';
    if (type === undefined)
      return (
        `is a CNAME record (to ${valuesOf(cname).join()}): say "type: A" to have an A record in its place meanwhile, or ` +
        '"type: CNAME" and a "target", or move the name that it leads to'
      );
  }
  if (type === 'CNAME') {
    const policy = sets.find(({ Type, SetIdentifier }) => Type !== 'CNAME' && SetIdentifier !== undefined);
    if (policy !== undefined)
      return `has ${setText(policy)} with a routing policy, which a CNAME record would take away; say "type: A" and a "setIdentifier"`;
  }
  const alias = sets.find((set) => set.Type === 'A' && set.AliasTarget !== undefined);
  if (alias !== undefined && type === undefined && identifiers.size === 0)
    return `is an alias record (${setText(alias)}): say "type: A" to have an A record in its place meanwhile`;
  return undefined;
}

function primarySet(name: Name, record: WantedRecord, Type: 'A' | 'CNAME'): LeadingSet {
  const replaced = name.sets.find((set) => set.Type === Type && set.SetIdentifier === record.setIdentifier);
  return {
    ...policyOf(replaced),
    Name: replaced?.Name ?? `${name.name}.`,
    Type,
    TTL: ttlBeside(name, replaced, record.ttl),
    ResourceRecords: record.values.map((Value) => ({ Value })),
  };
}

/** What makes a set one of a policy. */
function policyOf(set: LeadingSet | undefined): Partial<LeadingSet> {
  if (set === undefined) return {};
  const { AliasTarget: _alias, ResourceRecords: _values, TTL: _ttl, ...policy } = set;
  return policy;
}

/** Weighted sets of one name and type have one TTL; Route 53 refuses another. */
function ttlBeside({ sets }: Name, replaced: LeadingSet | undefined, wanted: number): number {
  if (replaced?.Weight === undefined) return wanted;
  const others = sets.filter(
    ({ Type, Weight, TTL, SetIdentifier }) =>
      Type === replaced.Type &&
      Weight !== undefined &&
      TTL !== undefined &&
      SetIdentifier !== replaced.SetIdentifier,
  );
  return others[0]?.TTL ?? wanted;
}

/** An AAAA, HTTPS or SVCB set meanwhile: itself where nothing of it leads home, undefined where it has to go. */
function besideSet(name: Name, set: LeadingSet, moved: ReadonlySet<string>): LeadingSet | undefined {
  const { records } = name;
  const meant = records.find(({ setIdentifier }) => setIdentifier === set.SetIdentifier) ?? records[0];
  const of = records.filter((record) => set.SetIdentifier === undefined || record === meant);
  const ipv6 = of.flatMap(({ ipv6, ipv6Values }) => (ipv6 === 'remove' ? [] : ipv6Values));
  if (set.Type === 'AAAA') {
    if (ipv6.length === 0) return undefined;
    // A simple record takes the place of all the sets of a policy that it beside stands for.
    const policy = name.identifiers.size === 0 && set.SetIdentifier !== undefined ? undefined : policyOf(set);
    const ResourceRecords = ipv6.map((Value) => ({ Value }));
    return {
      ...policy,
      Name: set.Name,
      Type: 'AAAA',
      TTL: ttlBeside(name, policy && set, meant.ttl),
      ResourceRecords,
    };
  }
  if (set.AliasTarget !== undefined) return undefined;
  const ipv4 = of.flatMap(({ values }) => values);
  const values = valuesOf(set);
  const kept = values.flatMap(
    (value) => meanwhileValue(value, { owner: name.name, moved, ipv4, ipv6 }) ?? [],
  );
  if (kept.length === 0) return undefined;
  if (kept.join('\n') === values.join('\n')) return set;
  return {
    ...set,
    TTL: ttlBeside(name, set, meant.ttl),
    ResourceRecords: [...new Set(kept)].map((Value) => ({ Value })),
  };
}

function besideNote({ name }: Name, set: LeadingSet, becomes: LeadingSet | undefined): string {
  const back = 'and comes back as it was';
  return becomes === undefined
    ? `${name} has ${setText(set)} beside, which leads to the primary site: it goes while the plan is away, ${back}.`
    : `${name} has ${setText(set)} beside, which leads to the primary site: it is ${setText(becomes)} while the plan is away, ${back}.`;
}

function healthCheckNote({ name }: Name, set: LeadingSet): string[] {
  return set.HealthCheckId === undefined
    ? []
    : [
        `The record set "${set.SetIdentifier ?? set.Type}" of ${name} keeps its health check ${set.HealthCheckId}: Route 53 ` +
          'answers with the new address only while that check succeeds, so it must not ask the primary site.',
      ];
}
