import { isDeepStrictEqual } from 'node:util';
import { type Change, type ResourceRecordSet } from '@aws-sdk/client-route-53';
import { InvalidRecordValueError } from '../../dns/invalid-value';
import { recordData, SUPPORTED_TYPES } from '../../dns/record-data';
import { AwsError } from '../wire/errors';
import { type HealthChecks } from './health-checks';
import {
  ALIAS_TTL,
  identifierOf,
  POLICY_MEMBERS,
  type RecordSet,
  routingOf,
  sameKey,
  wireName,
} from './record-set';
import { zoneProblems } from './set-rules';
import { type ZoneRecord } from './zones';

/** Members of a ResourceRecordSet that are not offered here. */
const NOT_OFFERED = ['GeoProximityLocation', 'TrafficPolicyInstanceId', 'CidrRoutingConfig'] as const;

const LARGEST_TTL = 2_147_483_647;
/** Of one batch, an UPSERT counted twice; and of one set. "Quotas", Amazon Route 53 Developer Guide. */
const MOST_ELEMENTS = 1000;
const MOST_CHARACTERS = 32_000;
const MOST_VALUES = 400;

const described = (set: RecordSet): string => {
  const identifier = identifierOf(set);
  const which = identifier === undefined ? '' : `, set-identifier='${identifier}'`;
  return `[name='${set.name}', type='${set.type}'${which}]`;
};

const sameContent = (a: RecordSet, b: RecordSet): boolean =>
  a.ttl === b.ttl &&
  [...a.values].sort().join('\n') === [...b.values].sort().join('\n') &&
  isDeepStrictEqual(a.routing, b.routing);

/**
 * The zone's record sets with a batch of changes: all of them or none.
 * @throws AwsError InvalidChangeBatch with every change that cannot be, in the words of Route 53
 */
export function applyChanges(zone: ZoneRecord, changes: Change[], healthChecks: HealthChecks): RecordSet[] {
  const problems: string[] = sizeProblems(changes);
  let sets = [...zone.recordSets];
  for (const change of changes) {
    const set = readRecordSet(zone, change, problems, healthChecks);
    if (set === undefined) continue;
    const present = sets.find((candidate) => sameKey(candidate, set));
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
        else if (!sameContent(present, set))
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

function sizeProblems(changes: Change[]): string[] {
  let elements = 0;
  let characters = 0;
  for (const { Action, ResourceRecordSet } of changes)
    for (const { Value = '' } of ResourceRecordSet?.ResourceRecords ?? []) {
      elements += Action === 'UPSERT' ? 2 : 1;
      characters += Value.length * (Action === 'UPSERT' ? 2 : 1);
    }
  return [
    ...(elements > MOST_ELEMENTS ? [`Number of records limit of ${MOST_ELEMENTS} exceeded.`] : []),
    ...(characters > MOST_CHARACTERS ? [`RDATA character limit of ${MOST_CHARACTERS} exceeded.`] : []),
  ];
}

function readRecordSet(
  zone: ZoneRecord,
  change: Change,
  problems: string[],
  healthChecks: HealthChecks,
): RecordSet | undefined {
  const input = change.ResourceRecordSet;
  if (input?.Name === undefined || input.Type === undefined)
    throw new AwsError('InvalidInput', 'A change needs a resource record set with name and type.');
  for (const member of NOT_OFFERED)
    if (input[member] !== undefined)
      throw new AwsError('NotImplemented', `${member} is not offered by this endpoint.`, 501);
  if (!SUPPORTED_TYPES.includes(input.Type))
    throw new AwsError(
      'NotImplemented',
      `Records of type ${input.Type} are not offered by this endpoint.`,
      501,
    );
  const name = wireName(input.Name);
  checkMembers(change, input, name);
  if (input.HealthCheckId !== undefined) healthChecks.require(input.HealthCheckId);
  const values = (input.ResourceRecords ?? []).map(({ Value = '' }) => Value);
  const before = problems.length;
  problems.push(...valueProblems(zone, name, input.Type, values));
  if (problems.length > before) return undefined;
  const routing = routingOf(input);
  return {
    ...{ name, type: input.Type, ttl: input.TTL ?? ALIAS_TTL, values },
    ...(routing === undefined ? {} : { routing }),
  };
}

/** @throws AwsError InvalidInput where members are missing or exclude each other */
function checkMembers({ Action }: Change, input: ResourceRecordSet, name: string): void {
  const which = `Change with [Action=${Action}, Name=${name}, Type=${input.Type}, SetIdentifier=${input.SetIdentifier ?? 'null'}]`;
  const own = input.TTL !== undefined && (input.ResourceRecords ?? []).length > 0;
  const alias = input.AliasTarget !== undefined;
  if (own === alias || (alias && (input.TTL !== undefined || input.ResourceRecords !== undefined)))
    throw new AwsError(
      'InvalidInput',
      `Invalid request: Expected exactly one of [AliasTarget, all of [TTL, and ResourceRecords], or TrafficPolicyInstanceId], but found ${alias ? 'more than one' : 'none'} in ${which}`,
    );
  const policies = POLICY_MEMBERS.filter((member) => input[member] !== undefined);
  if (input.SetIdentifier !== undefined && policies.length !== 1)
    throw new AwsError(
      'InvalidInput',
      `Invalid request: Expected exactly one of [Weight, Region, Failover, GeoLocation, or MultiValueAnswer], but found ${policies.length === 0 ? 'none' : 'more than one'} in ${which}`,
    );
  if (input.SetIdentifier === undefined && policies.length > 0)
    throw new AwsError('InvalidInput', `Invalid request: Missing field 'SetIdentifier' in ${which}`);
  if (input.TTL !== undefined && (!Number.isInteger(input.TTL) || input.TTL < 0 || input.TTL > LARGEST_TTL))
    throw new AwsError('InvalidInput', `Invalid TTL: ${input.TTL}`);
}

function valueProblems(zone: ZoneRecord, name: string, type: string, values: string[]): string[] {
  const problems: string[] = [];
  if (name !== zone.name && !name.endsWith(`.${zone.name}`))
    problems.push(`RRSet with DNS name ${name} is not permitted in zone ${zone.name}`);
  if (values.length > MOST_VALUES) problems.push(`Cannot have more than ${MOST_VALUES} records in a RRSet.`);
  if (new Set(values).size !== values.length)
    problems.push(
      `Duplicate Resource Record: '${values.find((value, index) => values.indexOf(value) < index)}'`,
    );
  for (const value of values)
    try {
      recordData(type, value);
    } catch (error) {
      if (!(error instanceof InvalidRecordValueError)) throw error;
      problems.push(error.message);
    }
  return problems;
}
