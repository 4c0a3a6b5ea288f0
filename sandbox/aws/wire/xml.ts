import { XMLParser } from 'fast-xml-parser';
import { AwsError } from './errors';
import { listItemName, mapEntryNames, members, mergedTraits, type NormalizedSchema } from './schema';
import { scalarText, scalarValue } from './scalars';

export const XML_DECLARATION = '<?xml version="1.0" encoding="UTF-8"?>\n';

const TEXT = '#';
const ATTRIBUTE = '@';

/** An element: children by name, its text under "#", its attributes under "@name". */
interface XmlElement {
  [name: string]: XmlElement[] | string | undefined;
}

const parser = new XMLParser({
  ignoreAttributes: false,
  attributeNamePrefix: ATTRIBUTE,
  textNodeName: TEXT,
  alwaysCreateTextNode: true,
  parseTagValue: false,
  parseAttributeValue: false,
  trimValues: false,
  ignoreDeclaration: true,
  // Numeric references (&#13;) count as HTML entities to this parser; S3 keys hold them.
  htmlEntities: true,
  isArray: (_name, _path, _leaf, attribute) => !attribute,
});

/** The root element of a document. @throws AwsError MalformedXML */
export function parseXml(source: string): XmlElement {
  if (/<!DOCTYPE/i.test(source))
    throw new AwsError('MalformedXML', 'A document type declaration is not allowed.');
  let document: Record<string, unknown>;
  try {
    document = parser.parse(source, true) as Record<string, unknown>;
  } catch (error) {
    throw new AwsError(
      'MalformedXML',
      `The XML you provided was not well-formed: ${(error as Error).message}`,
    );
  }
  const root = Object.values(document).find((value) => Array.isArray(value)) as XmlElement[] | undefined;
  if (root?.[0] === undefined)
    throw new AwsError('MalformedXML', 'The XML you provided has no root element.');
  return root[0];
}

const textOf = (element: XmlElement): string => {
  const text = element[TEXT];
  return typeof text === 'string' ? text : '';
};
const childrenOf = (element: XmlElement, name: string): XmlElement[] => {
  const children = Object.hasOwn(element, name) ? element[name] : undefined;
  return Array.isArray(children) ? children : [];
};

/** Reads all sibling elements of one name as a value of the schema. */
export function fromXml(schema: NormalizedSchema, elements: XmlElement[], flattened = false): unknown {
  const [first] = elements;
  if (first === undefined) return undefined;
  if (schema.isListSchema()) {
    const item = schema.getValueSchema();
    const items = flattened ? elements : childrenOf(first, listItemName(schema));
    return items.map((element) => fromXml(item, [element]));
  }
  if (schema.isMapSchema()) {
    const names = mapEntryNames(schema);
    const entries = flattened ? elements : childrenOf(first, 'entry');
    return Object.fromEntries(
      entries.map((entry) => {
        const key = childrenOf(entry, names.key)[0];
        return [
          key === undefined ? '' : textOf(key),
          fromXml(schema.getValueSchema(), childrenOf(entry, names.value)),
        ];
      }),
    );
  }
  if (!schema.isStructSchema()) return scalarValue(schema, textOf(first));
  const structure: Record<string, unknown> = {};
  for (const member of members(schema)) {
    if (member.traits.xmlAttribute) {
      const attribute = first[ATTRIBUTE + member.xmlName];
      if (typeof attribute === 'string') structure[member.name] = scalarValue(member.schema, attribute);
      continue;
    }
    const children = childrenOf(first, member.xmlName);
    if (children.length > 0)
      structure[member.name] = fromXml(member.schema, children, Boolean(member.traits.xmlFlattened));
  }
  return structure;
}

/** Text as it may stand between tags and in attributes, control characters that XML allows included. */
export function escapeXml(text: string): string {
  return text.replace(/[&<>"'\r\n\t\u0085\u2028]/g, (character) => `&#${character.charCodeAt(0)};`);
}

/** Writes a value as an element named `tag`; nothing for an absent value. */
export function toXml(
  schema: NormalizedSchema,
  value: unknown,
  tag: string,
  flattened = false,
  attributes = '',
): string {
  if (value === undefined || value === null) return '';
  const wrap = (content: string, more = ''): string => `<${tag}${attributes}${more}>${content}</${tag}>`;
  if (schema.isListSchema()) {
    const item = schema.getValueSchema();
    const itemTag = flattened ? tag : listItemName(schema);
    const content = (value as unknown[]).map((element) => toXml(item, element, itemTag)).join('');
    return flattened ? content : wrap(content);
  }
  if (schema.isMapSchema()) {
    const names = mapEntryNames(schema);
    const entryTag = flattened ? tag : 'entry';
    const content = Object.entries(value as Record<string, unknown>)
      .map(
        ([key, entry]) =>
          `<${entryTag}><${names.key}>${escapeXml(key)}</${names.key}>` +
          `${toXml(schema.getValueSchema(), entry, names.value)}</${entryTag}>`,
      )
      .join('');
    return flattened ? content : wrap(content);
  }
  if (!schema.isStructSchema()) return wrap(escapeXml(scalarText(schema, value, 'date-time')));
  return wrap(structureContent(schema, value), structureAttributes(schema, value));
}

/** The elements inside a structure's own element. */
export function structureContent(schema: NormalizedSchema, value: unknown): string {
  const structure = value as Record<string, unknown>;
  return members(schema)
    .filter(({ traits }) => !traits.xmlAttribute)
    .map((member) =>
      toXml(member.schema, structure[member.name], member.xmlName, Boolean(member.traits.xmlFlattened)),
    )
    .join('');
}

function structureAttributes(schema: NormalizedSchema, value: unknown): string {
  const structure = value as Record<string, unknown>;
  const [prefix, uri] = mergedTraits(schema).xmlNamespace ?? [];
  let attributes = uri ? ` xmlns${prefix ? `:${prefix}` : ''}="${uri}"` : '';
  for (const { traits, name, xmlName, schema: member } of members(schema))
    if (traits.xmlAttribute && structure[name] !== undefined)
      attributes += ` ${xmlName}="${escapeXml(scalarText(member, structure[name], 'date-time'))}"`;
  return attributes;
}
