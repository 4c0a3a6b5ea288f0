import { type Change } from '@aws-sdk/client-route-53';
import { InvalidRecordValueError, recordData, SUPPORTED_TYPES } from '../../dns/record-data';
import { AwsError } from '../wire/errors';
import { type RecordSet, wireName, type ZoneRecord } from './zones';

/** Members of a ResourceRecordSet that choose among several answers, or compute one; not offered here. */
const ROUTING_MEMBERS = [
  'SetIdentifier',
  'Weight',
  'Region',
  'GeoLocation',
  'GeoProximityLocation',
  'Failover',
  'MultiValueAnswer',
  'HealthCheckId',
  'TrafficPolicyInstanceId',
  'CidrRoutingConfig',
  'AliasTarget',
] as const;

const LARGEST_TTL = 2_147_483_647;

const same = (a: RecordSet, b: { name: string; type: string }): boolean =>
  a.name === b.name && a.type === b.type;

const described = ({ name, type }: RecordSet): string => `[name='${name}', type='${type}']`;

/**
 * The zone's record sets with a batch of changes: all of them or none.
 * @throws AwsError InvalidChangeBatch with every change that cannot be, in the words of Route 53
 */
export function applyChanges(zone: ZoneRecord, changes: Change[]): RecordSet[] {
  const problems: string[] = [];
  let sets = [...zone.recordSets];
  for (const change of changes) {
    const set = readRecordSet(zone, change, problems);
    if (set === undefined) continue;
    const present = sets.find((candidate) => same(candidate, set));
    switch (change.Action) {
      case 'CREATE':
        if (present !== undefined)
          problems.push(`Tried to create resource record set ${described(set)} but it already exists`);
        else sets.push(set);
        break;
      case 'UPSERT':
        sets = [...sets.filter((candidate) => candidate !== present), set];
        break;
      case 'DELETE':
        if (present === undefined)
          problems.push(`Tried to delete resource record set ${described(set)} but it was not found`);
        else if (
          present.ttl !== set.ttl ||
          [...present.values].sort().join('\n') !== [...set.values].sort().join('\n')
        )
          problems.push(
            `Tried to delete resource record set ${described(set)} but the values provided do not match the current values`,
          );
        else sets = sets.filter((candidate) => candidate !== present);
        break;
      default:
        throw new AwsError('InvalidInput', `Invalid action: ${change.Action}`);
    }
  }
  problems.push(...zoneProblems(zone, sets));
  if (problems.length > 0) {
    const message = `[${problems.join(', ')}]`;
    throw new AwsError('InvalidChangeBatch', message, 400, { messages: problems });
  }
  return sets;
}

function readRecordSet(zone: ZoneRecord, change: Change, problems: string[]): RecordSet | undefined {
  const input = change.ResourceRecordSet;
  if (input?.Name === undefined || input.Type === undefined)
    throw new AwsError('InvalidInput', 'A change needs a resource record set with name and type.');
  for (const member of ROUTING_MEMBERS)
    if (input[member] !== undefined)
      throw new AwsError('NotImplemented', `${member} is not offered by this endpoint.`, 501);
  if (!SUPPORTED_TYPES.includes(input.Type))
    throw new AwsError(
      'NotImplemented',
      `Records of type ${input.Type} are not offered by this endpoint.`,
      501,
    );
  const name = wireName(input.Name.replaceAll('\\052', '*'));
  const values = (input.ResourceRecords ?? []).map(({ Value = '' }) => Value);
  if (input.TTL === undefined || values.length === 0)
    throw new AwsError(
      'InvalidInput',
      `Invalid request: Expected exactly one of [AliasTarget, all of [TTL, and ResourceRecords], or TrafficPolicyInstanceId], but found none in Change with [Action=${change.Action}, Name=${name}, Type=${input.Type}, SetIdentifier=null]`,
    );
  if (!Number.isInteger(input.TTL) || input.TTL < 0 || input.TTL > LARGEST_TTL)
    throw new AwsError('InvalidInput', `Invalid TTL: ${input.TTL}`);
  const before = problems.length;
  if (name !== zone.name && !name.endsWith(`.${zone.name}`))
    problems.push(`RRSet with DNS name ${name} is not permitted in zone ${zone.name}`);
  if (new Set(values).size !== values.length)
    problems.push(
      `Duplicate Resource Record: '${values.find((value, index) => values.indexOf(value) < index)}'`,
    );
  for (const value of values)
    try {
      recordData(input.Type, value);
    } catch (error) {
      if (!(error instanceof InvalidRecordValueError)) throw error;
      problems.push(error.message);
    }
  return problems.length > before ? undefined : { name, type: input.Type, ttl: input.TTL, values };
}

/** What must hold of a zone after any batch. */
function zoneProblems(zone: ZoneRecord, sets: RecordSet[]): string[] {
  const problems: string[] = [];
  const has = (type: string): boolean => sets.some((set) => set.name === zone.name && set.type === type);
  if (!has('SOA')) problems.push('A HostedZone must contain exactly one SOA record.');
  if (!has('NS')) problems.push('A HostedZone must contain at least one NS record for the zone itself.');
  for (const alias of sets.filter(({ type }) => type === 'CNAME')) {
    const other = sets.find((set) => set.name === alias.name && set !== alias);
    if (other !== undefined)
      problems.push(
        `RRSet of type CNAME with DNS name ${alias.name} is not permitted as it conflicts with other records with the same DNS name in zone ${zone.name}`,
      );
  }
  return problems;
}
