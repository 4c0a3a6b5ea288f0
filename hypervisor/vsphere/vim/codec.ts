import { VimAnswerError, VimRequestError } from './errors';
import { fieldsOf, isA, isKnownType } from './layout';
import { type ManagedObject } from './schema';
import { escape, type XmlElement } from './xml';

/** A data object, as it is decoded. */
export interface DataObject {
  $type: string;
  [field: string]: unknown;
}

/** Bounds of XML Schema's whole numbers that fit into a number. */
const BOUNDS: Record<string, number> = { byte: 0x7f, short: 0x7fff, int: 0x7fffffff };
const SCALARS = new Set(
  'string boolean byte short int long float double dateTime base64Binary anyURI'.split(' '),
);

export const managed = <T extends string>(type: T, value: string): ManagedObject<T> => ({
  $ref: type,
  value,
});

export function isManaged(value: unknown): value is ManagedObject {
  return typeof value === 'object' && value !== null && '$ref' in value && 'value' in value;
}

/** Whether two references are to the same object. */
export const sameObject = (a: ManagedObject | undefined, b: ManagedObject | undefined): boolean =>
  a !== undefined && b !== undefined && a.$ref === b.$ref && a.value === b.value;

/**
 * Writes a value as elements of one name, in the order that the schema demands: vSphere's types are sequences.
 * Values are in no error: there are passwords among them.
 * @throws VimRequestError where the value does not fit the type
 */
export function encode(tag: string, type: string, value: unknown): string {
  if (value === undefined || value === null) return '';
  if (Array.isArray(value)) return value.map((one) => encode(tag, type, one)).join('');
  if (type.startsWith('&')) {
    if (!isManaged(value)) throw new VimRequestError(`${tag} has to be a reference to a ${type.slice(1)}.`);
    return reference(tag, value, '');
  }
  if (isKnownType(type) || (type === 'anyType' && isDataObject(value))) return dataObject(tag, type, value);
  if (type === 'anyType') {
    if (isManaged(value)) return reference(tag, value, ' xsi:type="ManagedObjectReference"');
    const scalar = scalarTypeOf(tag, value);
    return `<${tag} xsi:type="xsd:${scalar}">${escape(scalarText(tag, scalar, value))}</${tag}>`;
  }
  return `<${tag}>${escape(scalarText(tag, type, value))}</${tag}>`;
}

export const isDataObject = (value: unknown): value is DataObject =>
  typeof value === 'object' && value !== null && '$type' in value;

const reference = (tag: string, value: ManagedObject, more: string): string =>
  `<${tag} type="${escape(value.$ref)}"${more}>${escape(value.value)}</${tag}>`;

function dataObject(tag: string, declared: string, value: unknown): string {
  if (typeof value !== 'object' || isManaged(value))
    throw new VimRequestError(`${tag} has to be a ${declared}.`);
  const object = value as Record<string, unknown>;
  const type = typeof object.$type === 'string' ? object.$type : declared;
  if (!isKnownType(type)) throw new VimRequestError(`${tag}: the schema has no type ${type}.`);
  if (declared !== 'anyType' && !isA(type, declared))
    throw new VimRequestError(`${tag}: ${type} is no ${declared}.`);
  const fields = fieldsOf(type);
  for (const key of Object.keys(object))
    if (key !== '$type' && !fields.has(key)) throw new VimRequestError(`${tag}: ${type} has no ${key}.`);
  let inner = '';
  for (const field of fields.values()) {
    const one = object[field.name];
    if ((one === undefined || one === null) && !field.optional)
      throw new VimRequestError(`${tag}: ${type} needs ${field.name}.`);
    if (Array.isArray(one) && !field.list)
      throw new VimRequestError(`${tag}: ${field.name} of ${type} is no list.`);
    inner += encode(field.name, field.type, one);
  }
  return `<${tag}${type === declared ? '' : ` xsi:type="${escape(type)}"`}>${inner}</${tag}>`;
}

/** The type that a value in an untyped place gets, as pyVmomi chooses it. */
function scalarTypeOf(tag: string, value: unknown): string {
  if (typeof value === 'string') return 'string';
  if (typeof value === 'boolean') return 'boolean';
  if (typeof value === 'bigint') return 'long';
  if (typeof value === 'number') {
    if (!Number.isInteger(value)) return 'double';
    return Math.abs(value) <= 0x7fffffff ? 'int' : 'long';
  }
  if (value instanceof Date) return 'dateTime';
  if (Buffer.isBuffer(value)) return 'base64Binary';
  throw new VimRequestError(`${tag} has a value that cannot be sent.`);
}

function scalarText(tag: string, type: string, value: unknown): string {
  const refuse = (): never => {
    throw new VimRequestError(`${tag} is no ${type}.`);
  };
  if (type === 'boolean') return typeof value === 'boolean' ? String(value) : refuse();
  if (type === 'dateTime')
    return value instanceof Date && !Number.isNaN(value.getTime()) ? value.toISOString() : refuse();
  if (type === 'base64Binary') return Buffer.isBuffer(value) ? value.toString('base64') : refuse();
  if (type === 'float' || type === 'double')
    return typeof value === 'number' && Number.isFinite(value) ? String(value) : refuse();
  if (type === 'long')
    return (typeof value === 'bigint' && BigInt.asIntN(64, value) === value) || Number.isSafeInteger(value)
      ? String(value)
      : refuse();
  const bound = BOUNDS[type];
  if (bound !== undefined)
    return Number.isInteger(value) && Number(value) <= bound && Number(value) >= -bound - 1
      ? String(value)
      : refuse();
  // Text that XML cannot carry in any form would make the whole request unreadable.
  // eslint-disable-next-line no-control-regex
  return typeof value === 'string' && !/[\0-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]/.test(value)
    ? value
    : refuse();
}

/**
 * Reads an element. What the answer says of its type goes before what the schema declares; fields and types that are not
 * known are kept as they come, as text and lists.
 * @throws VimAnswerError where a value does not fit its type
 */
export function decode(declared: string, element: XmlElement): unknown {
  const { name: tag, children, text, refersTo } = element;
  const type = element.type ?? declared;
  if (refersTo !== undefined) return managed(refersTo, text);
  if (SCALARS.has(type)) return scalarValue(tag, type, text);
  if (type.startsWith('ArrayOf')) return children.map((child) => decode(child.name, child));
  // An enumeration's value, or what is not known; a data object may be empty, and still says what it is.
  if (children.length === 0 && !isKnownType(type) && (!isKnownType(declared) || text.trim() !== ''))
    return text;
  const value: DataObject = { $type: type };
  // Of a type that is not known, at least what the declared one says.
  const fields = fieldsOf(isKnownType(type) ? type : declared);
  for (const field of fields.values()) if (field.list) value[field.name] = [];
  for (const child of children) {
    const field = fields.get(child.name);
    const one = decode(field?.type ?? '', child);
    const before = Object.hasOwn(value, child.name) ? value[child.name] : undefined;
    if (Array.isArray(before)) before.push(one);
    else if (before === undefined) value[child.name] = one;
    // Twice what is no list: of a known field the first counts, any other is a list after all.
    else if (field === undefined) value[child.name] = [before, one];
  }
  return value;
}

function scalarValue(tag: string, type: string, text: string): unknown {
  const refuse = (): never => {
    throw new VimAnswerError(`${tag} is no ${type}`);
  };
  if (type === 'string' || type === 'anyURI') return text;
  if (type === 'boolean')
    return text === 'true' || text === '1' || (text === 'false' || text === '0' ? false : refuse());
  if (type === 'base64Binary') return Buffer.from(text, 'base64');
  if (type === 'dateTime') {
    const date = new Date(text);
    return Number.isNaN(date.getTime()) ? refuse() : date;
  }
  if (type === 'float' || type === 'double') {
    const number = { INF: Infinity, '-INF': -Infinity, NaN: NaN }[text.trim()] ?? Number(text);
    return text.trim() === '' || (Number.isNaN(number) && text.trim() !== 'NaN') ? refuse() : number;
  }
  if (!/^\s*[+-]?\d{1,19}\s*$/.test(text)) return refuse();
  const number = Number(text);
  // Beyond 2^53 (no size of a disk, but some limits are 2^63 - 1) a number would be another one.
  return Number.isSafeInteger(number) ? number : BigInt(text.trim());
}
