import {
  type Change,
  ChangeResourceRecordSetsCommand,
  GetChangeCommand,
  GetHostedZoneCommand,
  ListResourceRecordSetsCommand,
  type ListResourceRecordSetsCommandInput,
  type ListResourceRecordSetsCommandOutput,
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
  /** Record sets that it has, of all names and types. */
  recordSets: number;
}

/** @throws Route53ServiceException NoSuchHostedZone */
export async function lookUpZone(route53: Route53Client, hostedZone: string): Promise<HostedZone> {
  const zone = await route53.send(new GetHostedZoneCommand({ Id: hostedZone }));
  return {
    name: plainName(zone.HostedZone?.Name),
    private: zone.HostedZone?.Config?.PrivateZone ?? false,
    nameServers: zone.DelegationSet?.NameServers ?? [],
    recordSets: zone.HostedZone?.ResourceRecordSetCount ?? Infinity,
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
/** Record sets that one call lists at most. Route 53 API Reference, ListResourceRecordSets. */
const LARGEST_PAGE = 300;

/**
 * Reads the A records at several names, by as few calls as it takes, since Route 53 allows five a second for a whole
 * account: name by name, or, where that takes fewer, the whole zone page by page. Pages between two names would take fewer
 * still of a large zone, but only by knowing how Route 53 sorts them.
 */
export async function readARecords(
  route53: Route53Client,
  hostedZone: string,
  { recordSets }: Pick<HostedZone, 'recordSets'>,
  names: string[],
): Promise<Map<string, PresentRecord>> {
  const present = new Map<string, PresentRecord>();
  if (names.length <= recordSets / LARGEST_PAGE) {
    // One after the other: more at once would only be refused.
    for (const name of names) present.set(name, await readARecord(route53, hostedZone, name));
    return present;
  }
  const byName = new Map<string, ResourceRecordSet[]>(names.map((name) => [plainName(name), []]));
  for await (const set of listRecordSets(route53, hostedZone)) byName.get(plainName(set.Name))?.push(set);
  for (const name of names) present.set(name, presentRecord(byName.get(plainName(name)) ?? []));
  return present;
}

async function* listRecordSets(
  route53: Route53Client,
  hostedZone: string,
): AsyncGenerator<ResourceRecordSet> {
  let next: Partial<ListResourceRecordSetsCommandInput> | undefined = {};
  while (next !== undefined) {
    const page: ListResourceRecordSetsCommandOutput = await route53.send(
      new ListResourceRecordSetsCommand({ HostedZoneId: hostedZone, MaxItems: LARGEST_PAGE, ...next }),
    );
    yield* page.ResourceRecordSets ?? [];
    next =
      page.IsTruncated === true
        ? {
            StartRecordName: page.NextRecordName,
            StartRecordType: page.NextRecordType,
            StartRecordIdentifier: page.NextRecordIdentifier,
          }
        : undefined;
  }
}

/** Reads the A record at a name. */
async function readARecord(route53: Route53Client, hostedZone: string, name: string): Promise<PresentRecord> {
  const { ResourceRecordSets } = await route53.send(
    new ListResourceRecordSetsCommand({
      HostedZoneId: hostedZone,
      StartRecordName: name,
      MaxItems: RECORDS_OF_ONE_NAME,
    }),
  );
  // The list begins at the name, or at the next one that there is.
  return presentRecord((ResourceRecordSets ?? []).filter((set) => plainName(set.Name) === plainName(name)));
}

/**
 * What the record sets of one name have for the type A. Only a simple one can be put back as it was from a TTL and values;
 * whatever else answers for the name is told as `other`, in words.
 */
function presentRecord(sets: ResourceRecordSet[]): PresentRecord {
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
