import { identifierOf, POLICY_MEMBERS, type RecordSet } from './record-set';
import { type ZoneRecord } from './zones';

/** What must hold of a zone's record sets after any batch, in Route 53's words where they are known. */
export function zoneProblems(zone: ZoneRecord, sets: readonly RecordSet[]): string[] {
  return [
    ...ofZone(zone, sets),
    ...sets.filter(({ type }) => type === 'CNAME').flatMap((set) => ofCname(zone, set, sets)),
    ...[...Map.groupBy(sets, ({ name, type }) => `${name} ${type}`).values()].flatMap(ofOneType),
    ...sets.flatMap((set) => ofAlias(zone, set, sets)),
  ];
}

function ofZone(zone: ZoneRecord, sets: readonly RecordSet[]): string[] {
  const has = (type: string): boolean => sets.some((set) => set.name === zone.name && set.type === type);
  return [
    ...(has('SOA') ? [] : ['A HostedZone must contain exactly one SOA record.']),
    ...(has('NS') ? [] : ['A HostedZone must contain at least one NS record for the zone itself.']),
  ];
}

function ofCname(zone: ZoneRecord, cname: RecordSet, sets: readonly RecordSet[]): string[] {
  const refused = `RRSet of type CNAME with DNS name ${cname.name} is not permitted`;
  if (cname.name === zone.name) return [`${refused} at apex in zone ${zone.name}`];
  return sets.some(({ name, type }) => name === cname.name && type !== 'CNAME')
    ? [`${refused} as it conflicts with other records with the same DNS name in zone ${zone.name}`]
    : [];
}

/** A name has one simple set of a type, or sets of one policy. */
function ofOneType(sets: RecordSet[]): string[] {
  if (sets.length === 1) return sets.flatMap(ofPrimary);
  const [first] = sets;
  if (first === undefined) return [];
  if (sets.some((set) => identifierOf(set) === undefined))
    return [`${described(first)} cannot be created as other RRSets exist with the same name and type.`];
  const policies = sets.map(policyOf);
  const other = policies.findIndex((policy) => policy !== policies[0]);
  if (other > 0)
    return [
      `${described(sets[other]!)} cannot be created as a non-${NAMES[policies[other]!] ?? ''} set exists with the same name and type.`,
    ];
  const own = sets.filter(({ routing }) => routing?.AliasTarget === undefined);
  if (policies[0] === 'Weight' && new Set(own.map(({ ttl }) => ttl)).size > 1)
    return [`${described(first)} cannot be created as weighted sets must contain the same TTL.`];
  return [...sets.flatMap(ofPrimary), ...twice(sets)];
}

const policyOf = ({ routing }: RecordSet): string =>
  POLICY_MEMBERS.find((member) => routing?.[member] !== undefined) ?? '';

const NAMES: Record<string, string> = {
  Weight: 'weighted',
  Region: 'latency',
  Failover: 'failover',
  GeoLocation: 'geolocation',
  MultiValueAnswer: 'multivalue',
};

const described = (set: RecordSet): string =>
  `RRSet with DNS name ${set.name}, type ${set.type}` +
  (identifierOf(set) === undefined ? '' : `, SetIdentifier ${identifierOf(set)}`);

function ofPrimary({ routing }: RecordSet): string[] {
  return routing?.Failover === 'PRIMARY' &&
    routing.AliasTarget === undefined &&
    routing.HealthCheckId === undefined
    ? ['A non-alias primary ResourceRecordSet must have an associated health check. No changes made.']
    : [];
}

/** One set a Region, and one PRIMARY and SECONDARY. */
function twice(sets: RecordSet[]): string[] {
  const seen = new Set<string>();
  return sets.flatMap((set) => {
    const { Region: region, Failover: failover } = set.routing ?? {};
    const value = region ?? failover;
    if (value === undefined || !seen.has(value)) {
      if (value !== undefined) seen.add(value);
      return [];
    }
    const [kind, by] = region === undefined ? ['failover', 'Failover'] : ['latency', 'Region Name'];
    return [
      `${described(set)}, and ${by}=${value} cannot be created because a ${kind} RRSet with the same name, type and ${region === undefined ? 'failover' : 'region'} already exists.`,
    ];
  });
}

/** Targets in other zones are other services', which are not here. */
function ofAlias(zone: ZoneRecord, set: RecordSet, sets: readonly RecordSet[]): string[] {
  const alias = set.routing?.AliasTarget;
  if (alias === undefined || alias.HostedZoneId !== zone.id) return [];
  return sets.some(({ name, type }) => name === alias.DNSName && type === set.type)
    ? []
    : [
        `Tried to create an alias that targets ${alias.DNSName}, type ${set.type} in zone ${zone.id}, but that target was not found`,
      ];
}
