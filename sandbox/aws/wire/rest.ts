import { type IncomingHttpHeaders } from 'node:http';
import { type IncomingBody, isChunked } from './body';
import { AwsError } from './errors';
import { fromJson, parseJson, toJson } from './json';
import { type Route } from './routing';
import { type Member, members, type NormalizedSchema } from './schema';
import { scalarText, scalarValue } from './scalars';
import { type Operation, type Service } from './service';
import { fromXml, parseXml, structureContent, toXml, XML_DECLARATION } from './xml';

/** What a handler sets beside its output where the status is not the operation's usual one (S3: 206). */
export const HTTP_STATUS = Symbol('HTTP status');

/** Documents (not objects and blocks) are held in memory; S3's DeleteObjects, the largest, stays below this. */
const DOCUMENT_LIMIT = 8 * 1024 * 1024;

export type ResponseBody = string | Uint8Array | AsyncIterable<Uint8Array> | undefined;

export interface RestResponse {
  status: number;
  headers: Record<string, string>;
  body: ResponseBody;
}

/** Checksums that the payload of an S3 request came with, by header name; filled when the payload has been read. */
export const PAYLOAD_CHECKSUMS = Symbol('payload checksums');

/** Reads the members of a REST request from path, query, headers and body. */
export async function readRest(
  service: Service,
  route: Route,
  request: {
    headers: IncomingHttpHeaders;
    query: URLSearchParams;
    body: IncomingBody & { checksums?: Record<string, string> };
    /** S3 only. */
    bucket: string | undefined;
  },
): Promise<Record<string, unknown>> {
  const input: Record<string | symbol, unknown> = {};
  const { input: schema } = route.operation;
  const headers = decodedHeaders(request.headers);
  const inBody: Member[] = [];
  const s3 = service.signingName === 's3';
  const { query, body, bucket } = request;
  if (body.checksums !== undefined) input[PAYLOAD_CHECKSUMS] = body.checksums;

  for (const member of members(schema)) {
    const { traits, name } = member;
    let value: unknown;
    if (traits.httpLabel)
      value = name === 'Bucket' && s3 ? bucket : labelValue(member.schema, route.labels[name]);
    else if (traits.httpQuery !== undefined) value = queryValue(member.schema, query, traits.httpQuery);
    else if (traits.httpQueryParams) value = Object.fromEntries(query);
    else if (traits.httpPrefixHeaders !== undefined)
      value = prefixedHeaders(headers, traits.httpPrefixHeaders);
    else if (traits.httpHeader !== undefined)
      value = headerValue(member.schema, headers[traits.httpHeader.toLowerCase()]);
    else if (traits.httpPayload) {
      if (member.schema.isStreaming()) value = body;
      else value = payloadValue(member.schema, await body.collect(DOCUMENT_LIMIT));
    } else inBody.push(member);
    if (value !== undefined) input[name] = value;
  }
  if (inBody.length > 0) {
    const text = (await body.collect(DOCUMENT_LIMIT)).toString();
    if (text !== '') {
      const document =
        service.kind === 'restJson1' ? fromJson(schema, parseJson(text)) : fromXml(schema, [parseXml(text)]);
      const values = document as Record<string, unknown>;
      for (const { name } of inBody) if (values[name] !== undefined) input[name] = values[name];
    }
  }
  return input as Record<string, unknown>;
}

/** Headers as they would be without the `aws-chunked` framing of the body. */
function decodedHeaders(headers: IncomingHttpHeaders): Record<string, string | undefined> {
  // Node joins repeated headers to one text, all but Set-Cookie, which no request has.
  const received = headers as Record<string, string | undefined>;
  if (!isChunked(headers)) return received;
  const plain = { ...received };
  const encodings = (plain['content-encoding'] ?? '')
    .split(',')
    .map((encoding) => encoding.trim())
    .filter((encoding) => encoding !== '' && encoding !== 'aws-chunked');
  if (encodings.length > 0) plain['content-encoding'] = encodings.join(', ');
  else delete plain['content-encoding'];
  if (plain['x-amz-decoded-content-length'] !== undefined)
    plain['content-length'] = plain['x-amz-decoded-content-length'];
  return plain;
}

function labelValue(schema: NormalizedSchema, label: string | undefined): unknown {
  if (label === undefined) return undefined;
  try {
    return scalarValue(schema, decodeURIComponent(label));
  } catch (error) {
    if (error instanceof URIError) throw new AwsError('InvalidURI', "Couldn't parse the specified URI.");
    throw error;
  }
}

function queryValue(schema: NormalizedSchema, query: URLSearchParams, name: string): unknown {
  if (!query.has(name)) return undefined;
  if (!schema.isListSchema()) return scalarValue(schema, query.get(name) ?? '');
  return query.getAll(name).map((text) => scalarValue(schema.getValueSchema(), text));
}

function headerValue(schema: NormalizedSchema, header: string | undefined): unknown {
  if (header === undefined) return undefined;
  if (!schema.isListSchema()) return scalarValue(schema, header);
  return header.split(/,\s*/).map((text) => scalarValue(schema.getValueSchema(), text));
}

function prefixedHeaders(
  headers: Record<string, string | undefined>,
  prefix: string,
): Record<string, string> {
  const found: Record<string, string> = {};
  for (const name in headers)
    if (name.startsWith(prefix)) found[name.slice(prefix.length)] = headers[name] ?? '';
  return found;
}

function payloadValue(schema: NormalizedSchema, bytes: Buffer): unknown {
  if (bytes.length === 0) return undefined;
  if (schema.isBlobSchema()) return bytes;
  return schema.isStringSchema() ? bytes.toString() : fromXml(schema, [parseXml(bytes.toString())]);
}

/** Writes an output as status, headers and body. */
export function writeRest(service: Service, operation: Operation, output: object): RestResponse {
  const values = output as Record<string | symbol, unknown>;
  const headers: Record<string, string> = {};
  const inBody: Record<string, unknown> = {};
  let status = (values[HTTP_STATUS] as number | undefined) ?? operation.http?.status ?? 200;
  let payload: { body: ResponseBody; document: boolean } | undefined;
  let hasDocument = false;
  for (const { name, schema, traits } of members(operation.output)) {
    const value = values[name];
    if (traits.httpPayload) payload = writePayload(service, schema, traits.xmlName, value);
    else if (traits.httpHeader !== undefined) {
      if (value !== undefined) headers[traits.httpHeader.toLowerCase()] = headerText(schema, value);
    } else if (traits.httpPrefixHeaders !== undefined)
      for (const [key, text] of Object.entries((value ?? {}) as Record<string, string>))
        headers[(traits.httpPrefixHeaders + key).toLowerCase()] = text;
    else if (traits.httpResponseCode) status = (value as number | undefined) ?? status;
    else {
      hasDocument = true;
      inBody[name] = value;
    }
  }
  const json = service.kind === 'restJson1';
  if (payload !== undefined) {
    const type = payload.document ? 'application/xml' : 'binary/octet-stream';
    return { status, headers: { 'content-type': type, ...headers }, body: payload.body };
  }
  if (!hasDocument) return { status, headers, body: undefined };
  const body = json
    ? JSON.stringify(toJson(operation.output, inBody))
    : XML_DECLARATION + rootElement(service, operation.output, inBody);
  return {
    status,
    headers: { 'content-type': json ? 'application/json' : 'application/xml', ...headers },
    body,
  };
}

function writePayload(
  service: Service,
  schema: NormalizedSchema,
  xmlName: string | undefined,
  value: unknown,
): { body: ResponseBody; document: boolean } {
  if (value === undefined || value === null) return { body: undefined, document: false };
  if (!schema.isStructSchema()) return { body: value as ResponseBody, document: false };
  const tag = xmlName ?? schema.getName() ?? 'Response';
  const element = toXml(schema, value, tag, false, ` xmlns="${service.xmlNamespace}"`);
  return { body: XML_DECLARATION + element, document: true };
}

function rootElement(service: Service, schema: NormalizedSchema, value: object): string {
  const traits = schema.getMergedTraits() as { xmlName?: string };
  const tag = traits.xmlName ?? schema.getName() ?? 'Response';
  return `<${tag} xmlns="${service.xmlNamespace}">${structureContent(schema, value)}</${tag}>`;
}

function headerText(schema: NormalizedSchema, value: unknown): string {
  if (!schema.isListSchema()) return scalarText(schema, value, 'http-date');
  return (value as unknown[])
    .map((item) => scalarText(schema.getValueSchema(), item, 'http-date'))
    .join(', ');
}
