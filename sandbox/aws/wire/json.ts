import { members, type NormalizedSchema } from './schema';
import { scalarText, scalarValue, timestampFormat } from './scalars';
import { AwsError } from './errors';

type Json = Record<string, unknown>;

const mapValues = (object: Json, change: (value: unknown) => unknown): Json =>
  Object.fromEntries(Object.entries(object).map(([key, value]) => [key, change(value)]));

/** A JSON document as an object. @throws AwsError SerializationException */
export function parseJson(source: string): Json {
  let document: unknown;
  try {
    document = JSON.parse(source);
  } catch {
    throw new AwsError('SerializationException', 'The request body is no valid JSON.');
  }
  if (typeof document !== 'object' || document === null || Array.isArray(document))
    throw new AwsError('SerializationException', 'The request body is no JSON object.');
  return document as Json;
}

/** Reads JSON as a value of the schema. @throws AwsError SerializationException where the types do not fit */
export function fromJson(schema: NormalizedSchema, json: unknown): unknown {
  if (json === undefined || json === null) return undefined;
  if (schema.isStructSchema()) {
    const source = expectObject(schema, json);
    const structure: Json = {};
    for (const member of members(schema)) {
      const value = fromJson(member.schema, source[member.traits.jsonName ?? member.name]);
      if (value !== undefined) structure[member.name] = value;
    }
    return structure;
  }
  if (schema.isListSchema()) {
    if (!Array.isArray(json)) throw mismatch(schema);
    return json.map((item) => fromJson(schema.getValueSchema(), item));
  }
  if (schema.isMapSchema())
    return mapValues(expectObject(schema, json), (value) => fromJson(schema.getValueSchema(), value));
  if (schema.isTimestampSchema()) return scalarValue(schema, String(json));
  if (schema.isNumericSchema() && typeof json !== 'number') throw mismatch(schema);
  if (schema.isBooleanSchema() && typeof json !== 'boolean') throw mismatch(schema);
  if (schema.isStringSchema() && typeof json !== 'string') throw mismatch(schema);
  if (schema.isBlobSchema()) return scalarValue(schema, String(json));
  return json;
}

/** Writes a value of the schema as what JSON.stringify takes. */
export function toJson(schema: NormalizedSchema, value: unknown): unknown {
  if (value === undefined || value === null) return undefined;
  if (schema.isStructSchema()) {
    const structure = value as Json;
    return Object.fromEntries(
      members(schema).map((member) => [
        member.traits.jsonName ?? member.name,
        toJson(member.schema, structure[member.name]),
      ]),
    );
  }
  if (schema.isListSchema()) return (value as unknown[]).map((item) => toJson(schema.getValueSchema(), item));
  if (schema.isMapSchema()) return mapValues(value as Json, (item) => toJson(schema.getValueSchema(), item));
  if (value instanceof Date)
    return timestampFormat(schema, 'epoch-seconds') === 'epoch-seconds'
      ? value.getTime() / 1000
      : scalarText(schema, value, 'epoch-seconds');
  return schema.isBlobSchema() ? scalarText(schema, value, 'date-time') : value;
}

function expectObject(schema: NormalizedSchema, json: unknown): Json {
  if (typeof json !== 'object' || json === null || Array.isArray(json)) throw mismatch(schema);
  return json as Json;
}

function mismatch(schema: NormalizedSchema): AwsError {
  const name = schema.isMemberSchema() ? schema.getMemberName() : (schema.getName() ?? 'value');
  return new AwsError('SerializationException', `${name} has the wrong type.`);
}
