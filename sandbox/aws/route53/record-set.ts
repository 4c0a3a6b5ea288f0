import type * as r53 from '@aws-sdk/client-route-53';
import { type DnsRecordSet } from '../../dns/record-set';
import { normalizeName } from '../../dns/zone';

/** Members of a ResourceRecordSet by which one of several answers is chosen. */
export const POLICY_MEMBERS = ['Weight', 'Region', 'Failover', 'GeoLocation', 'MultiValueAnswer'] as const;
const ROUTING_MEMBERS = [...POLICY_MEMBERS, 'SetIdentifier', 'HealthCheckId', 'AliasTarget'] as const;

export type Routing = Pick<r53.ResourceRecordSet, (typeof ROUTING_MEMBERS)[number]>;

/** A record set as Route 53 stores it: names lower case and with a dot at the end. */
export interface RecordSet {
  name: string;
  type: string;
  /** Seconds; of an alias, what name servers answer with, which is its target's in truth. */
  ttl: number;
  /** None for an alias. */
  values: string[];
  /** Absent for a simple record. */
  routing?: Routing;
}

/** What name servers say of an alias. "Choosing between alias and non-alias records", Amazon Route 53 Developer Guide. */
export const ALIAS_TTL = 60;

/** A DNS name as Route 53 writes it: all but letters, digits, "-" and "_" as octal codes. */
export function wireName(name: string): string {
  const octal = (character: string): string => `\\${character.charCodeAt(0).toString(8).padStart(3, '0')}`;
  return `${plainName(name).replace(/[^a-z0-9_.-]/g, octal)}.`;
}

/** With octal codes as the characters that they stand for, as name servers have it. */
export const plainName = (name: string): string =>
  normalizeName(
    name.replace(/\\([0-3][0-7]{2})/g, (_, octal: string) => String.fromCharCode(parseInt(octal, 8))),
  );

export const identifierOf = ({ routing }: RecordSet): string | undefined => routing?.SetIdentifier;

export const sameKey = (a: RecordSet, b: RecordSet): boolean =>
  a.name === b.name && a.type === b.type && identifierOf(a) === identifierOf(b);

export function routingOf(input: r53.ResourceRecordSet): Routing | undefined {
  const given = ROUTING_MEMBERS.flatMap((member) =>
    input[member] === undefined ? [] : [[member, input[member]]],
  );
  if (given.length === 0) return undefined;
  const routing = Object.fromEntries(given) as Routing;
  const { AliasTarget: alias } = routing;
  return alias === undefined
    ? routing
    : { ...routing, AliasTarget: { ...alias, DNSName: wireName(alias.DNSName ?? '') } };
}

export function recordSetView({ name, type, ttl, values, routing }: RecordSet): r53.ResourceRecordSet {
  const own =
    routing?.AliasTarget === undefined
      ? { TTL: ttl, ResourceRecords: values.map((Value) => ({ Value })) }
      : {};
  return { Name: name, Type: type as r53.RRType, ...own, ...routing };
}

/** As the name servers have it. */
export function dnsRecordSet({ name, type, ttl, values, routing }: RecordSet): DnsRecordSet {
  const alias = routing?.AliasTarget?.DNSName;
  return {
    name: plainName(name),
    type,
    ttl,
    values,
    ...(alias === undefined ? {} : { aliasOf: plainName(alias) }),
    ...(routing?.SetIdentifier === undefined
      ? {}
      : {
          routing: {
            identifier: routing.SetIdentifier,
            weight: routing.Weight,
            failover: routing.Failover,
            multiValue: routing.MultiValueAnswer,
          },
        }),
  };
}
