import { decode, encode, isDataObject } from './codec';
import { VimAnswerError, VimRequestError } from './errors';
import { VimFault } from './faults';
import { methodLayout, type MethodName } from './layout';
import { type ManagedObject } from './schema';
import { childOf, escape, parseXml, type XmlElement } from './xml';

/** Characters of an answer that is not SOAP, to tell what came, and those that they are looked for in. */
const EXCERPT = 200;
const LOOKED_AT = 4096;

/** The SOAP request of a call. @throws VimRequestError */
export function requestEnvelope(method: MethodName, self: ManagedObject, args: object): string {
  const { params } = methodLayout(method);
  const given = args as Record<string, unknown>;
  for (const key of Object.keys(given))
    if (!params.some(({ name }) => name === key)) throw new VimRequestError(`${method} takes no ${key}.`);
  let inner = '';
  for (const { name, type, list, optional } of params) {
    if (given[name] === undefined && !optional) throw new VimRequestError(`${method} needs ${name}.`);
    if (Array.isArray(given[name]) && !list) throw new VimRequestError(`${method}: ${name} is no list.`);
    inner += encode(name, type, given[name]);
  }
  return (
    '<?xml version="1.0" encoding="UTF-8"?>\n' +
    '<soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/"' +
    ' xmlns:xsd="http://www.w3.org/2001/XMLSchema" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">' +
    `<soapenv:Body><${method} xmlns="urn:vim25">` +
    `<_this type="${escape(self.$ref)}">${escape(self.value)}</_this>${inner}` +
    `</${method}></soapenv:Body></soapenv:Envelope>`
  );
}

/**
 * What a call answered.
 * @throws VimFault what the server answered instead
 * @throws VimAnswerError where it is no answer to this call
 */
export function readAnswer(method: MethodName, status: number, text: string): unknown {
  const body = soapBody(method, status, text);
  const fault = childOf(body, 'Fault');
  if (fault !== undefined) throw asFault(method, fault);
  const response = childOf(body, `${method}Response`);
  if (response === undefined)
    throw noAnswer(method, status, 'it has neither an answer to the call nor a fault', text);
  const { result } = methodLayout(method);
  if (result === undefined) return undefined;
  const items = response.children.filter(({ name }) => name === 'returnval');
  try {
    const values = items.map((item) => decode(result.type, item));
    return result.list ? values : values[0];
  } catch (error) {
    if (error instanceof VimAnswerError) throw noAnswer(method, status, error.message, '');
    throw error;
  }
}

function soapBody(method: MethodName, status: number, text: string): XmlElement {
  let why = 'it is no SOAP';
  try {
    const root = parseXml(text);
    const body = root.name === 'Envelope' ? childOf(root, 'Body') : undefined;
    if (body !== undefined) return body;
  } catch (error) {
    if (!(error instanceof VimAnswerError)) throw error;
    why = error.message;
  }
  throw noAnswer(method, status, why, text);
}

function noAnswer(method: MethodName, status: number, why: string, text: string): VimAnswerError {
  const advice =
    status === 503
      ? ' vCenter is starting, or its services are down: try again in some minutes.'
      : status === 404 || (status >= 300 && status < 400)
        ? ' Does the address lead to a vCenter?'
        : '';
  // What a login got back might repeat what was sent.
  const excerpt =
    method === 'Login'
      ? ''
      : text
          .slice(0, LOOKED_AT)
          .replace(/<[^>]*>/g, ' ')
          .replace(/\s+/g, ' ')
          .trim()
          .slice(0, EXCERPT);
  return new VimAnswerError(
    `${method}: the answer (HTTP ${status}) is not vCenter's: ${why}.${advice}${excerpt === '' ? '' : ` It begins: ${excerpt}`}`,
  );
}

function asFault(method: MethodName, element: XmlElement): VimFault {
  const message = (childOf(element, 'faultstring')?.text ?? '').trim();
  const data = childOf(element, 'detail')?.children[0];
  if (data === undefined) return new VimFault(method, { $type: 'SystemError' }, message);
  const fault = decode('MethodFault', data);
  // Where the type is not said, the element's name tells it: InvalidLoginFault.
  const named = { $type: data.name.replace(/Fault$/, '') };
  return new VimFault(method, isDataObject(fault) && data.type !== undefined ? fault : named, message);
}
