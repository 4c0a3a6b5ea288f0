import { NormalizedSchema } from '@smithy/core/schema';

/** Traits of a member that say where on the wire it goes; the names are Smithy's. */
export interface WireTraits {
  httpLabel?: unknown;
  httpQuery?: string;
  httpQueryParams?: unknown;
  httpHeader?: string;
  httpPrefixHeaders?: string;
  httpPayload?: unknown;
  httpResponseCode?: unknown;
  jsonName?: string;
  xmlName?: string;
  xmlAttribute?: unknown;
  xmlFlattened?: unknown;
  xmlNamespace?: [prefix: string | undefined, uri: string | undefined] | string[];
  ec2QueryName?: string;
  httpError?: number;
  awsQueryError?: [code: string, status: number];
}

/** A member of a structure with what the codecs ask of it, looked up once. */
export interface Member {
  name: string;
  schema: NormalizedSchema;
  traits: WireTraits;
  /** Name in XML and query bodies: the member's own trait only, for merged traits leak the target shape's name. */
  xmlName: string;
}

const membersOf = new Map<unknown, readonly Member[]>();

export const mergedTraits = (schema: NormalizedSchema): WireTraits => schema.getMergedTraits() as WireTraits;
export const memberTraits = (schema: NormalizedSchema): WireTraits => schema.getMemberTraits() as WireTraits;

/** The members of a structure, in the model's order; none for the unit shape. */
export function members(schema: NormalizedSchema): readonly Member[] {
  if (schema.isUnitSchema()) return [];
  const key = schema.getSchema();
  let found = membersOf.get(key);
  if (found === undefined) {
    found = [...schema.structIterator()].map(([name, member]) => ({
      name,
      schema: member,
      traits: mergedTraits(member),
      xmlName: memberTraits(member).xmlName ?? name,
    }));
    membersOf.set(key, found);
  }
  return found;
}

/** Names of the members that a request must have: the model lists them first and their number last. */
export function requiredMembers(schema: NormalizedSchema): readonly Member[] {
  if (schema.isUnitSchema()) return [];
  const shape = schema.getSchema() as unknown as readonly unknown[];
  const count = shape[6];
  return typeof count === 'number' ? members(schema).slice(0, count) : [];
}

/** Element names of a map's keys and values. */
export function mapEntryNames(schema: NormalizedSchema): { key: string; value: string } {
  return {
    key: mergedTraits(schema.getKeySchema()).xmlName ?? 'key',
    value: mergedTraits(schema.getValueSchema()).xmlName ?? 'value',
  };
}

/** Element name of a list's items. */
export function listItemName(schema: NormalizedSchema): string {
  return memberTraits(schema.getValueSchema()).xmlName ?? 'member';
}

export { NormalizedSchema };
