import {
  ListResourceRecordSetsCommand,
  type ListResourceRecordSetsCommandInput,
  type ListResourceRecordSetsCommandOutput,
  type ResourceRecordSet,
  type Route53Client,
} from '@aws-sdk/client-route-53';
import { canonicalRecordName } from '../../../plan/record-name';
import { type StoredRecordSet } from '../../../repository/plans/record-set';
import { type HostedZone } from './hosted-zone';

/** Types by which a name leads somewhere; the others of a name are nobody's business here. */
export const LEADING_TYPES = ['A', 'AAAA', 'CNAME', 'HTTPS', 'SVCB'] as const;

/** A record set of one of these types. */
export type LeadingSet = StoredRecordSet;

export function isLeading(set: ResourceRecordSet): boolean {
  return LEADING_TYPES.some((type) => type === set.Type);
}

/** The leading ones of a name's record sets, as Route 53 listed them. Of traffic policies' there is nothing that can be sent back. */
export const leadingSets = (sets: readonly ResourceRecordSet[]): LeadingSet[] =>
  sets.filter((set) => isLeading(set) && set.TrafficPolicyInstanceId === undefined) as LeadingSet[];

/** By what Route 53 tells the sets of one name apart. */
export const keyOf = ({ Type, SetIdentifier }: Pick<LeadingSet, 'Type' | 'SetIdentifier'>): string =>
  `${Type} ${SetIdentifier ?? ''}`;

export const valuesOf = (set: Pick<LeadingSet, 'ResourceRecords'>): string[] =>
  (set.ResourceRecords ?? []).map(({ Value }) => Value);

/** Whether two sets of one key lead to the same places; TTL and policy are no part of where they lead. */
export function leadsAlike(a: LeadingSet, b: LeadingSet): boolean {
  const place = (set: LeadingSet): string =>
    set.AliasTarget === undefined
      ? [...valuesOf(set)].sort().join('\n')
      : `alias ${canonicalRecordName(set.AliasTarget.DNSName)} ${set.AliasTarget.HostedZoneId}`;
  return keyOf(a) === keyOf(b) && place(a) === place(b);
}

/** For people: `A 192.0.2.7, 192.0.2.8` or `A (old) alias of x.example`. */
export function setText(set: LeadingSet): string {
  const which = set.SetIdentifier === undefined ? set.Type : `${set.Type} (${set.SetIdentifier})`;
  const place =
    set.AliasTarget === undefined
      ? valuesOf(set).join(', ')
      : `alias of ${canonicalRecordName(set.AliasTarget.DNSName)}`;
  return `${which} ${place}`;
}

/** More than the record sets that a name has by its types; with policies it may have more, on further pages. */
const RECORDS_OF_ONE_NAME = 100;
/** Record sets that one call lists at most. Route 53 API Reference, ListResourceRecordSets. */
const LARGEST_PAGE = 300;

/**
 * The record sets of several names, all types of them, by as few calls as it takes, since Route 53 allows five a second for a
 * whole account: name by name, or, where that takes fewer, the whole zone page by page. Pages between two names would take fewer
 * still of a large zone, but only by knowing how Route 53 sorts them.
 * @param names in the plan's spelling
 */
export async function readRecordSets(
  route53: Route53Client,
  hostedZone: string,
  { recordSets }: Pick<HostedZone, 'recordSets'>,
  names: readonly string[],
): Promise<Map<string, ResourceRecordSet[]>> {
  const found = new Map<string, ResourceRecordSet[]>(names.map((name) => [name, []]));
  if (found.size <= recordSets / LARGEST_PAGE) {
    // One after the other: more at once would only be refused.
    for (const [name, sets] of found)
      for await (const set of listFrom(route53, hostedZone, RECORDS_OF_ONE_NAME, name)) {
        // The list begins at the name, or at the next one that there is.
        if (canonicalRecordName(set.Name ?? '') !== name) break;
        sets.push(set);
      }
    return found;
  }
  for await (const set of listFrom(route53, hostedZone, LARGEST_PAGE))
    found.get(canonicalRecordName(set.Name ?? ''))?.push(set);
  return found;
}

async function* listFrom(
  route53: Route53Client,
  hostedZone: string,
  MaxItems: number,
  name?: string,
): AsyncGenerator<ResourceRecordSet> {
  let next: Partial<ListResourceRecordSetsCommandInput> | undefined = { StartRecordName: name };
  while (next !== undefined) {
    const page: ListResourceRecordSetsCommandOutput = await route53.send(
      new ListResourceRecordSetsCommand({ HostedZoneId: hostedZone, MaxItems, ...next }),
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
