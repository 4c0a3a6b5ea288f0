import { type Answer } from 'dns-packet';
import { recordData } from './record-data';
import { type DnsRecordSet } from './record-set';
import { answering } from './routing';

export interface DnsZone {
  name: string;
  recordSets: readonly DnsRecordSet[];
}

export interface DnsReply {
  rcode: 'NOERROR' | 'NXDOMAIN' | 'REFUSED';
  authoritative: boolean;
  answers: Answer[];
  authorities: Answer[];
}

/** Types that dns-packet has no name for, as it calls them. */
const TYPE_NAMES: Record<string, string> = { UNKNOWN_64: 'SVCB', UNKNOWN_65: 'HTTPS' };
const WIRE_NAMES = Object.fromEntries(Object.entries(TYPE_NAMES).map(([wire, type]) => [type, wire]));

/** CNAMEs followed inside the zones; more are a loop. */
const LONGEST_CHAIN = 8;

/** Answers a question with authority for some zones; questions about others are refused (RFC 1034, section 4.3.2). */
export function resolve(zones: readonly DnsZone[], question: { name: string; type: string }): DnsReply {
  const answers: Answer[] = [];
  let name = normalizeName(question.name);
  for (let step = 0; step < LONGEST_CHAIN; step++) {
    const zone = zoneOf(zones, name);
    if (zone === undefined)
      return { rcode: step === 0 ? 'REFUSED' : 'NOERROR', authoritative: step > 0, answers, authorities: [] };
    const sets = setsFor(zone, name);
    const wanted = TYPE_NAMES[question.type] ?? question.type;
    const types = new Set(sets.map(({ type }) => type));
    const matching = [...types]
      .filter((type) => wanted === 'ANY' || type === wanted)
      .flatMap((type) => answering(sets.filter((set) => set.type === type)))
      .flatMap((set) => throughAlias(zones, set));
    if (matching.length > 0)
      return {
        rcode: 'NOERROR',
        authoritative: true,
        answers: [...answers, ...matching.flatMap((set) => toAnswers(set, name))],
        authorities: [],
      };
    const [alias] = answering(sets.filter(({ type }) => type === 'CNAME'));
    if (alias === undefined) {
      // An empty name with names below it exists all the same (RFC 8020).
      const exists = sets.length > 0 || zone.recordSets.some((set) => set.name.endsWith(`.${name}`));
      return {
        rcode: exists ? 'NOERROR' : 'NXDOMAIN',
        authoritative: true,
        answers,
        authorities: negativeAuthority(zone),
      };
    }
    answers.push(...toAnswers(alias, name));
    name = normalizeName(alias.values[0] ?? '');
  }
  return { rcode: 'NOERROR', authoritative: true, answers, authorities: [] };
}

/** What a set with an alias answers with; nothing where its target is not in these zones. */
function throughAlias(zones: readonly DnsZone[], set: DnsRecordSet, step = 0): DnsRecordSet[] {
  if (set.aliasOf === undefined) return [set];
  const zone = zoneOf(zones, set.aliasOf);
  if (zone === undefined || step === LONGEST_CHAIN) return [];
  return answering(setsFor(zone, set.aliasOf).filter(({ type }) => type === set.type)).flatMap((target) =>
    throughAlias(zones, target, step + 1),
  );
}

export const normalizeName = (name: string): string => name.toLowerCase().replace(/\.$/, '');

function zoneOf(zones: readonly DnsZone[], name: string): DnsZone | undefined {
  return zones
    .filter((zone) => name === zone.name || name.endsWith(`.${zone.name}`))
    .sort((a, b) => b.name.length - a.name.length)[0];
}

/** The sets of a name, or those of the wildcard that stands for it (RFC 4592). */
function setsFor(zone: DnsZone, name: string): readonly DnsRecordSet[] {
  const exact = zone.recordSets.filter((set) => set.name === name);
  if (exact.length > 0 || name === zone.name) return exact;
  let parent = name;
  do {
    if (zone.recordSets.some((set) => set.name === parent || set.name.endsWith(`.${parent}`))) return [];
    parent = parent.slice(parent.indexOf('.') + 1);
    const wildcard = zone.recordSets.filter((set) => set.name === `*.${parent}`);
    if (wildcard.length > 0) return wildcard;
  } while (parent !== zone.name);
  return [];
}

function toAnswers(set: DnsRecordSet, name: string): Answer[] {
  return set.values.map(
    (value) =>
      ({
        name,
        type: WIRE_NAMES[set.type] ?? set.type,
        class: 'IN',
        ttl: set.ttl,
        data: recordData(set.type, value),
      }) as Answer,
  );
}

/** The SOA by which resolvers know how long to believe that there is nothing (RFC 2308). */
function negativeAuthority(zone: DnsZone): Answer[] {
  const soa = zone.recordSets.find(({ name, type }) => name === zone.name && type === 'SOA');
  if (soa === undefined) return [];
  const minimum = Number(soa.values[0]?.split(/\s+/)[6] ?? soa.ttl);
  return toAnswers({ ...soa, ttl: Math.min(soa.ttl, minimum) }, zone.name);
}
