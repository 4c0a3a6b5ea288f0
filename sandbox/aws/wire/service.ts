import { type NormalizedSchema as Schema } from '@smithy/core/schema';
import { mergedTraits, NormalizedSchema, requiredMembers } from './schema';

export type ProtocolKind = 'restJson1' | 'awsJson1_1' | 'restXml' | 'awsQuery' | 'ec2Query';

/** How a REST operation is told from the others of its service. */
export interface HttpBinding {
  method: string;
  /** Matches the path; named groups are the labels, still percent-encoded. */
  path: RegExp;
  status: number;
  /** Query parameters that must be there, with this value where it is not empty. */
  literals: [name: string, value: string][];
  requiredQuery: string[];
  /** Lower case. */
  requiredHeaders: string[];
  /** Characters of the path that are no label: the more, the more specific. */
  fixedLength: number;
  /** S3: whether the operation names a bucket. */
  ofBucket: boolean;
}

export interface Operation {
  name: string;
  input: Schema;
  output: Schema;
  /** Members that a request must have. */
  required: string[];
  http?: HttpBinding;
}

/** A service as its SDK client describes it. */
export interface Service {
  kind: ProtocolKind;
  /** Name in SigV4 credential scopes, by which requests find their service. */
  signingName: string;
  /** API version of the query protocols. */
  version: string | undefined;
  xmlNamespace: string;
  operations: ReadonlyMap<string, Operation>;
  /** Schema of an error by its shape's name. */
  errorSchema(code: string): Schema | undefined;
}

interface ClientConfig {
  protocol?: unknown;
  protocolSettings?: { version?: string; xmlNamespace?: string };
  defaultSigningName?: string;
}

/** Smithy's number for an operation in the SDK's static schemas: [9, namespace, name, traits, input, output]. */
const OPERATION = 9;

/**
 * Reads a service off the module of its SDK client: operations, shapes, bindings and errors are the ones that the
 * client was generated with, so none of them is written by hand here.
 */
export function describeService(module: Record<string, unknown>, client: { config: object }): Service {
  const config = client.config as ClientConfig;
  const protocol = (config.protocol as { getShapeId(): string }).getShapeId();
  const kind = protocol.slice(protocol.indexOf('#') + 1) as ProtocolKind;
  const signingName = config.defaultSigningName ?? '';
  const operations = new Map<string, Operation>();
  for (const exported of Object.values(module)) {
    if (!Array.isArray(exported) || exported[0] !== OPERATION) continue;
    const operation = describeOperation(exported, signingName === 's3');
    operations.set(operation.name, operation);
  }
  return {
    kind,
    signingName,
    version: config.protocolSettings?.version,
    xmlNamespace: config.protocolSettings?.xmlNamespace ?? '',
    operations,
    errorSchema(code) {
      const schema = module[`${code}$`];
      return Array.isArray(schema) ? NormalizedSchema.of(schema as never) : undefined;
    },
  };
}

function describeOperation(schema: readonly unknown[], s3: boolean): Operation {
  const [, , name, traits, inputRef, outputRef] = schema as [
    number,
    string,
    string,
    unknown,
    unknown,
    unknown,
  ];
  const input = resolve(inputRef);
  const output = resolve(outputRef);
  const required = requiredMembers(input);
  const operation: Operation = { name, input, output, required: required.map((member) => member.name) };
  const http = (traits as { http?: [method: string, uri: string, status: number] }).http;
  if (http === undefined) return operation;

  const [method, uri, status] = http;
  const [path = '', query = ''] = uri.split('?');
  // S3's bucket is taken from path or host before the path is matched; the model's templates have no bucket either.
  const pattern = path
    .replace(/[.+*?^$()|[\]\\]/g, (character) => (character === '+' ? '+' : `\\${character}`))
    .replace(
      /\{(\w+)(\+?)\}/g,
      (_, label: string, greedy: string) => `(?<${label}>${greedy ? '.+' : '[^/]+'})`,
    );
  operation.http = {
    method,
    // A slash at the end is part of an S3 key and nothing elsewhere.
    path: new RegExp(`^${pattern}${s3 ? '' : '/?'}$`, 's'),
    status,
    literals: [...new URLSearchParams(query)],
    requiredQuery: required
      .map(({ schema: member }) => mergedTraits(member).httpQuery)
      .filter((key) => key !== undefined),
    requiredHeaders: required
      .map(({ schema: member }) => mergedTraits(member).httpHeader?.toLowerCase())
      .filter((key) => key !== undefined),
    fixedLength: path.replace(/\{[^}]*\}/g, '').length,
    ofBucket: s3 && required.some((member) => member.name === 'Bucket'),
  };
  return operation;
}

/** Schemas refer to each other through functions, for they may be recursive. */
function resolve(reference: unknown): Schema {
  return NormalizedSchema.of(
    (typeof reference === 'function' ? (reference as () => unknown)() : reference) as never,
  );
}
