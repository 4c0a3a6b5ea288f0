import { XMLParser } from 'fast-xml-parser';
import { VimAnswerError } from './errors';

/** An element: children by name, its text under "#", its attributes under "@name"; names with their prefixes. */
export interface XmlElement {
  [name: string]: XmlElement[] | string | undefined;
}

const TEXT = '#';
const ATTRIBUTE = '@';
/** Levels of elements. A chain of 32 snapshots, the longest that vSphere makes, is some 40 deep in an answer. */
const DEEPEST = 100;

const parser = new XMLParser({
  ignoreAttributes: false,
  attributeNamePrefix: ATTRIBUTE,
  textNodeName: TEXT,
  alwaysCreateTextNode: true,
  parseTagValue: false,
  parseAttributeValue: false,
  trimValues: false,
  ignoreDeclaration: true,
  ignorePiTags: true,
  maxNestedTags: DEEPEST,
  // Done below: this parser knows numeric references only together with all of HTML's entities.
  processEntities: false,
  isArray: (_name, _path, _leaf, attribute) => !attribute,
});

/** XML's own five; SOAP forbids a document type, and so any other. */
const ENTITIES: Record<string, string> = { lt: '<', gt: '>', amp: '&', quot: '"', apos: "'" };

function unescape(text: string): string {
  if (!text.includes('&')) return text;
  return text.replace(/&(?:#x([0-9a-f]{1,6})|#([0-9]{1,7})|([a-z]{2,4}));/gi, (whole, hex, decimal, name) => {
    if (name !== undefined) return ENTITIES[name as string] ?? whole;
    const code = hex !== undefined ? parseInt(hex as string, 16) : parseInt(decimal as string, 10);
    return code <= 0x10ffff ? String.fromCodePoint(code) : whole;
  });
}

export const escape = (text: string): string => text.replace(/[<>&"'\r]/g, (c) => `&#${c.charCodeAt(0)};`);

export const localName = (name: string): string => name.slice(name.indexOf(':') + 1);

/** The elements of a document's top level. @throws VimAnswerError */
export function parseXml(source: string): XmlElement {
  if (/<!DOCTYPE/i.test(source)) throw new VimAnswerError('it has a document type, which SOAP forbids');
  try {
    return parser.parse(source, true) as XmlElement;
  } catch (error) {
    throw new VimAnswerError(`it is not well-formed: ${(error as Error).message}`);
  }
}

export function textOf(element: XmlElement): string {
  const text = element[TEXT];
  return typeof text === 'string' ? unescape(text) : '';
}

/** An attribute by its full name. */
export function attributeOf(element: XmlElement, name: string): string | undefined {
  const key = ATTRIBUTE + name;
  const value = Object.hasOwn(element, key) ? element[key] : undefined;
  return typeof value === 'string' ? unescape(value) : undefined;
}

/** What `xsi:type` says, without prefix; whatever prefix the document gave XML Schema's instance namespace. */
export function typeAttribute(element: XmlElement): string | undefined {
  for (const key of Object.keys(element))
    if (/^@(?!xmlns:)[^:]+:type$/.test(key)) return localName(attributeOf(element, key.slice(1)) ?? '');
  return undefined;
}

/** Child elements by name, as they stand in the document. */
export function childrenOf(element: XmlElement): [name: string, elements: XmlElement[]][] {
  return Object.entries(element).filter((entry): entry is [string, XmlElement[]] => Array.isArray(entry[1]));
}

/** The first child of a local name. */
export function childOf(element: XmlElement | undefined, name: string): XmlElement | undefined {
  if (element === undefined) return undefined;
  return childrenOf(element).find(([key]) => localName(key) === name)?.[1][0];
}
