import { type Answer } from 'dns-packet';
import { recordData } from './record-data';

/** A record set as DNS sees it. Names are lower case, without a dot at the end. */
export interface DnsRecordSet {
  name: string;
  type: string;
  /** Seconds. */
  ttl: number;
  /** In the presentation format of zone files, as Route 53 takes them. */
  values: string[];
}

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
    const matching = sets.filter(({ type }) => question.type === 'ANY' || type === question.type);
    if (matching.length > 0)
      return {
        rcode: 'NOERROR',
        authoritative: true,
        answers: [...answers, ...matching.flatMap((set) => toAnswers(set, name))],
        authorities: [],
      };
    const alias = sets.find(({ type }) => type === 'CNAME');
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
      ({ name, type: set.type, class: 'IN', ttl: set.ttl, data: recordData(set.type, value) }) as Answer,
  );
}

/** The SOA by which resolvers know how long to believe that there is nothing (RFC 2308). */
function negativeAuthority(zone: DnsZone): Answer[] {
  const soa = zone.recordSets.find(({ name, type }) => name === zone.name && type === 'SOA');
  if (soa === undefined) return [];
  const minimum = Number(soa.values[0]?.split(/\s+/)[6] ?? soa.ttl);
  return toAnswers({ ...soa, ttl: Math.min(soa.ttl, minimum) }, zone.name);
}
