import {
  type Change,
  ChangeResourceRecordSetsCommand,
  GetChangeCommand,
  GetHostedZoneCommand,
  ListResourceRecordSetsCommand,
  type ResourceRecordSet,
  type Route53Client,
} from '@aws-sdk/client-route-53';
import { waitFor } from '../account/waiting';

export interface HostedZone {
  /** Lower case, without the dot at the end. */
  name: string;
  private: boolean;
  /** Host names of the zone's name servers; none for a private zone, which only its VPCs' resolvers answer for. */
  nameServers: string[];
}

/** @throws Route53ServiceException NoSuchHostedZone */
export async function lookUpZone(route53: Route53Client, hostedZone: string): Promise<HostedZone> {
  const zone = await route53.send(new GetHostedZoneCommand({ Id: hostedZone }));
  return {
    name: plainName(zone.HostedZone?.Name),
    private: zone.HostedZone?.Config?.PrivateZone ?? false,
    nameServers: zone.DelegationSet?.NameServers ?? [],
  };
}

/** The value of an A record. */
export interface RecordValue {
  /** Seconds. */
  ttl: number;
  /** IPv4 addresses, sorted. */
  values: string[];
}

/** What a zone has for the type A at a name. */
export type PresentRecord =
  { kind: 'absent' } | { kind: 'simple'; value: RecordValue } | { kind: 'other'; what: string };

/** What routing policies add to a record set; by them more than one set can exist for one name and type. */
const POLICY_FIELDS = [
  'SetIdentifier',
  'Weight',
  'Region',
  'GeoLocation',
  'GeoProximityLocation',
  'Failover',
  'MultiValueAnswer',
  'CidrRoutingConfig',
  'HealthCheckId',
  'TrafficPolicyInstanceId',
] as const satisfies (keyof ResourceRecordSet)[];

/** More than the types that one name can have; where policies make more of one type, the first tells. */
const RECORDS_OF_ONE_NAME = 100;

/**
 * Reads the A record at a name. Only a simple one can be put back as it was from a TTL and values; whatever else
 * answers for the name is told as `other`, in words.
 */
export async function readARecord(
  route53: Route53Client,
  hostedZone: string,
  name: string,
): Promise<PresentRecord> {
  const { ResourceRecordSets } = await route53.send(
    new ListResourceRecordSetsCommand({
      HostedZoneId: hostedZone,
      StartRecordName: name,
      MaxItems: RECORDS_OF_ONE_NAME,
    }),
  );
  // The list begins at the name, or at the next one that there is.
  const sets = (ResourceRecordSets ?? []).filter((set) => plainName(set.Name) === plainName(name));
  if (sets.some(({ Type }) => Type === 'CNAME')) return { kind: 'other', what: 'a CNAME record' };
  const set = sets.find(({ Type }) => Type === 'A');
  if (set === undefined) return { kind: 'absent' };
  if (set.AliasTarget !== undefined) return { kind: 'other', what: 'an alias record' };
  const policy = POLICY_FIELDS.find((field) => set[field] !== undefined);
  if (policy !== undefined) return { kind: 'other', what: `an A record with a routing policy (${policy})` };
  const values = (set.ResourceRecords ?? []).map(({ Value }) => Value ?? '').sort();
  if (set.TTL === undefined || values.length === 0)
    return { kind: 'other', what: 'an A record without TTL or values' };
  return { kind: 'simple', value: { ttl: set.TTL, values } };
}

/** Whether two records lead to the same addresses; the TTL is no part of where they lead. */
export function sameAddresses(a: RecordValue, b: RecordValue): boolean {
  return [...a.values].sort().join() === [...b.values].sort().join();
}

/** A change of the A record at a name. */
export function aRecordChange(
  Action: 'UPSERT' | 'CREATE' | 'DELETE',
  name: string,
  value: RecordValue,
): Change {
  return {
    Action,
    ResourceRecordSet: {
      Name: name,
      Type: 'A',
      TTL: value.ttl,
      ResourceRecords: value.values.map((Value) => ({ Value })),
    },
  };
}

/** Makes all of the changes or none, and waits until every name server of the zone has them. */
export async function changeRecords(
  route53: Route53Client,
  hostedZone: string,
  changes: Change[],
  comment: string,
  pollSeconds?: number,
): Promise<void> {
  if (changes.length === 0) return;
  const { ChangeInfo } = await route53.send(
    new ChangeResourceRecordSetsCommand({
      HostedZoneId: hostedZone,
      // 256 characters are what a comment may have.
      ChangeBatch: { Comment: comment.slice(0, 256), Changes: changes },
    }),
  );
  await waitFor(
    `Route 53 to have the change ${ChangeInfo?.Id} on all name servers`,
    async () => {
      const { ChangeInfo: info } = await route53.send(new GetChangeCommand({ Id: ChangeInfo?.Id }));
      return info?.Status === 'INSYNC' ? true : undefined;
    },
    { pollSeconds },
  );
}

function plainName(name: string | undefined): string {
  return (name ?? '').replace(/\.$/, '').toLowerCase();
}
