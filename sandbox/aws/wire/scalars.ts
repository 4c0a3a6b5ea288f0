import { AwsError } from './errors';
import { type NormalizedSchema } from './schema';

/** Smithy's numbers for timestamps whose format the model names; 4 is "the default of the binding". */
const DATE_TIME = 5;
const HTTP_DATE = 6;
const EPOCH_SECONDS = 7;

export type TimestampFormat = 'date-time' | 'http-date' | 'epoch-seconds';

/** The format of a timestamp, given the default of where it is bound. */
export function timestampFormat(schema: NormalizedSchema, binding: TimestampFormat): TimestampFormat {
  switch (schema.getSchema()) {
    case DATE_TIME:
      return 'date-time';
    case HTTP_DATE:
      return 'http-date';
    case EPOCH_SECONDS:
      return 'epoch-seconds';
    default:
      return binding;
  }
}

/** A scalar as text, as XML, queries, headers and labels carry it. */
export function scalarText(schema: NormalizedSchema, value: unknown, binding: TimestampFormat): string {
  if (value instanceof Uint8Array)
    return Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString('base64');
  if (!(value instanceof Date)) return String(value);
  switch (timestampFormat(schema, binding)) {
    case 'http-date':
      return value.toUTCString();
    case 'epoch-seconds':
      return String(value.getTime() / 1000);
    case 'date-time':
      return value.toISOString();
  }
}

/** The value that a text on the wire means. @throws AwsError MalformedInput where it means none */
export function scalarValue(schema: NormalizedSchema, text: string): unknown {
  if (schema.isBooleanSchema()) {
    if (text !== 'true' && text !== 'false') throw malformed(schema, text);
    return text === 'true';
  }
  if (schema.isBigIntegerSchema()) return BigInt(text);
  if (schema.isNumericSchema()) {
    const number = Number(text);
    if (text.trim() === '' || Number.isNaN(number)) throw malformed(schema, text);
    return number;
  }
  if (schema.isBlobSchema()) return Buffer.from(text, 'base64');
  if (schema.isTimestampSchema()) {
    const date = new Date(/^-?\d+(\.\d+)?$/.test(text) ? Number(text) * 1000 : text);
    if (Number.isNaN(date.getTime())) throw malformed(schema, text);
    return date;
  }
  return text;
}

function malformed(schema: NormalizedSchema, text: string): AwsError {
  const name = schema.isMemberSchema() ? schema.getMemberName() : (schema.getName() ?? 'value');
  return new AwsError('MalformedInput', `"${text.slice(0, 100)}" is no valid value of ${name}.`);
}
