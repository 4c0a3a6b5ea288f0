import { SaxesParser } from 'saxes';
import { VimAnswerError } from './errors';

/** An element, by the local names of what it is and has: vim25 has one namespace. */
export interface XmlElement {
  name: string;
  children: XmlElement[];
  text: string;
  /** What `xsi:type` says, without its prefix. */
  type?: string;
  /** The attribute `type`: that of a reference's object. */
  refersTo?: string;
}

/** Levels of elements. A chain of 32 snapshots, the longest that vSphere makes, is some 40 deep in an answer. */
const DEEPEST = 100;
/** Elements of an answer. A page of a hundred VMs with their devices has some 50,000; reading half a million takes seconds. */
const MOST_ELEMENTS = 500_000;
const XSI = 'http://www.w3.org/2001/XMLSchema-instance';

/**
 * The root element of a document. Entities are XML's own five; SOAP forbids a document type, in which others would be declared.
 * @throws VimAnswerError
 */
export function parseXml(source: string): XmlElement {
  const parser = new SaxesParser({ xmlns: true });
  const open: XmlElement[] = [];
  let root: XmlElement | undefined;
  let elements = 0;
  const refuse = (why: string): never => {
    throw new VimAnswerError(why);
  };
  parser.on('error', (error) => refuse(`it is not well-formed: ${error.message}`));
  parser.on('doctype', () => refuse('it has a document type, which SOAP forbids'));
  parser.on('opentag', ({ local, attributes }) => {
    // It would be no field of the object that it is decoded into.
    if (local === '__proto__') refuse('it has an element __proto__');
    const element: XmlElement = { name: local, children: [], text: '' };
    for (const attribute of Object.values(attributes)) {
      if (attribute.local !== 'type') continue;
      if (attribute.uri === XSI) element.type = localName(attribute.value);
      else if (attribute.prefix === '') element.refersTo = attribute.value;
    }
    open.at(-1)?.children.push(element);
    root ??= element;
    if (++elements > MOST_ELEMENTS) refuse(`it has more than ${MOST_ELEMENTS} elements`);
    if (open.push(element) > DEEPEST) refuse(`it has more than ${DEEPEST} levels`);
  });
  const text = (part: string) => {
    const element = open.at(-1);
    if (element !== undefined) element.text += part;
  };
  parser.on('text', text);
  parser.on('cdata', text);
  parser.on('closetag', () => void open.pop());
  parser.write(source).close();
  return root ?? refuse('it is empty');
}

export const escape = (text: string): string => text.replace(/[<>&"'\r]/g, (c) => `&#${c.charCodeAt(0)};`);

const localName = (name: string): string => name.slice(name.indexOf(':') + 1);

/** The first child of a name. */
export const childOf = (element: XmlElement | undefined, name: string): XmlElement | undefined =>
  element?.children.find((child) => child.name === name);
