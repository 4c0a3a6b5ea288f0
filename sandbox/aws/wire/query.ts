import { AwsError } from './errors';
import { listItemName, mapEntryNames, members, type NormalizedSchema } from './schema';
import { scalarValue } from './scalars';
import { type Operation, type Service } from './service';
import { escapeXml, structureContent, XML_DECLARATION } from './xml';

/** Parameters of a query body by the parts of their dotted names. */
type QueryTree = Map<string, QueryTree | string>;

/** @throws AwsError MalformedQueryString where one name is both a value and the beginning of others */
function queryTree(parameters: Iterable<[string, string]>): QueryTree {
  const root: QueryTree = new Map();
  for (const [name, value] of parameters) {
    const parts = name.split('.');
    const last = parts.pop() ?? '';
    let node = root;
    for (const part of parts) {
      const next = node.get(part) ?? new Map<string, QueryTree | string>();
      if (typeof next === 'string')
        throw new AwsError('MalformedQueryString', `The parameter ${name} is a value and a structure.`);
      node.set(part, next);
      node = next;
    }
    node.set(last, value);
  }
  return root;
}

const capitalize = (name: string): string => name.charAt(0).toUpperCase() + name.slice(1);

/** Reads the form of an awsQuery or ec2Query request. */
export function readQuery(
  service: Service,
  operation: Operation,
  form: URLSearchParams,
): Record<string, unknown> {
  const tree = queryTree(form);
  return fromQuery(operation.input, tree, service.kind === 'ec2Query', false) as Record<string, unknown>;
}

function fromQuery(
  schema: NormalizedSchema,
  node: QueryTree | string,
  ec2: boolean,
  flattened: boolean,
): unknown {
  if (schema.isListSchema()) {
    if (node === '') return [];
    const item = schema.getValueSchema();
    return sequence(flattened ? node : child(node, listItemName(schema))).map((element) =>
      fromQuery(item, element, ec2, ec2),
    );
  }
  if (schema.isMapSchema()) {
    const names = mapEntryNames(schema);
    return Object.fromEntries(
      sequence(flattened ? node : child(node, 'entry')).map((entry) => [
        String(child(entry, names.key) ?? ''),
        fromQuery(schema.getValueSchema(), child(entry, names.value) ?? '', ec2, ec2),
      ]),
    );
  }
  if (schema.isStructSchema() || schema.isUnitSchema()) {
    const structure: Record<string, unknown> = {};
    for (const member of members(schema)) {
      const name = ec2 ? (member.traits.ec2QueryName ?? capitalize(member.xmlName)) : member.xmlName;
      const value = child(node, name);
      if (value !== undefined)
        structure[member.name] = fromQuery(
          member.schema,
          value,
          ec2,
          ec2 || Boolean(member.traits.xmlFlattened),
        );
    }
    return structure;
  }
  if (typeof node !== 'string')
    throw new AwsError('MalformedQueryString', 'A structure was given where a value is expected.');
  return scalarValue(schema, node);
}

const child = (node: QueryTree | string | undefined, name: string): QueryTree | string | undefined =>
  node instanceof Map ? node.get(name) : undefined;

/** The values under 1, 2, 3, … in that order, whatever order they came in. */
function sequence(node: QueryTree | string | undefined): (QueryTree | string)[] {
  if (!(node instanceof Map)) return [];
  return [...node]
    .filter(([key]) => /^[1-9]\d*$/.test(key))
    .sort(([a], [b]) => Number(a) - Number(b))
    .map(([, value]) => value);
}

/** The XML document that answers an awsQuery or ec2Query request. */
export function writeQuery(
  service: Service,
  operation: Operation,
  output: object,
  requestId: string,
): string {
  const content = operation.output.isUnitSchema() ? '' : structureContent(operation.output, output);
  const name = operation.name;
  const id = escapeXml(requestId);
  const inner =
    service.kind === 'ec2Query'
      ? `<requestId>${id}</requestId>${content}`
      : `<${name}Result>${content}</${name}Result><ResponseMetadata><RequestId>${id}</RequestId></ResponseMetadata>`;
  return `${XML_DECLARATION}<${name}Response xmlns="${service.xmlNamespace}">${inner}</${name}Response>`;
}
