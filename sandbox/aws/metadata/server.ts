import { createServer, type IncomingMessage, type Server } from 'node:http';
import { type Socket } from 'node:net';
import { type TokenSigner } from '../ebs/read-tokens';

/** What the metadata service knows of an instance. */
export interface InstanceMetadata {
  instanceId: string;
  /** Whether the service is there for this instance, and asks for a token. */
  options: { enabled: boolean; tokens: 'required' | 'optional' };
  userData: Buffer | undefined;
  /** By their paths below /latest/meta-data/. */
  values: Record<string, string>;
}

const TOKEN_PATH = '/latest/api/token';
const TTL_HEADER = 'x-aws-ec2-metadata-token-ttl-seconds';
const MAX_TTL_SECONDS = 21_600;

/** A guest may be anything: what asks slowly or for long is let go. */
const REQUEST_TIMEOUT_MILLISECONDS = 10_000;
const MAX_HEADER_BYTES = 8 * 1024;

interface Answer {
  status: number;
  body?: string | Buffer;
  headers?: Record<string, string>;
}

/**
 * EC2's instance metadata service, version 2, and 1 where an instance allows it ("Use the Instance Metadata Service", EC2 User
 * Guide): tokens by PUT, user data and a few values of the instance. The caller makes it listen.
 * @param instanceAt the instance that a connection comes from
 */
export function createMetadataServer(
  instanceAt: (socket: Socket) => InstanceMetadata | undefined,
  tokens: TokenSigner,
): Server {
  const server = createServer({ maxHeaderSize: MAX_HEADER_BYTES }, (request, response) => {
    const instance = instanceAt(request.socket);
    const {
      status,
      body = '',
      headers,
    } = instance === undefined ? { status: 404 } : answer(instance, request, tokens);
    request.resume();
    response.writeHead(status, {
      'content-type': 'text/plain',
      'content-length': Buffer.byteLength(body),
      server: 'EC2ws',
      ...headers,
    });
    response.end(request.method === 'HEAD' ? undefined : body);
  });
  server.requestTimeout = REQUEST_TIMEOUT_MILLISECONDS;
  server.headersTimeout = REQUEST_TIMEOUT_MILLISECONDS;
  return server;
}

function answer(instance: InstanceMetadata, request: IncomingMessage, tokens: TokenSigner): Answer {
  if (!instance.options.enabled) return { status: 403 };
  const path = (request.url ?? '').split('?')[0] ?? '';
  if (request.method === 'PUT')
    return path === TOKEN_PATH ? newToken(instance, request, tokens) : { status: 405 };
  if (request.method !== 'GET' && request.method !== 'HEAD') return { status: 405 };
  const token = request.headers['x-aws-ec2-metadata-token'];
  if (token === undefined ? instance.options.tokens === 'required' : !isTokenOf(instance, token, tokens))
    return { status: 401 };
  if (path === '/latest/user-data') return found(instance.userData);
  const [, name = ''] = /^\/latest\/meta-data\/(.+)$/.exec(path) ?? [];
  return found(Object.hasOwn(instance.values, name) ? instance.values[name] : undefined);
}

function found(body: string | Buffer | undefined): Answer {
  return body === undefined ? { status: 404 } : { status: 200, body };
}

/** A proxy in the instance is not to get tokens for others: it is known by the header that it adds. */
function newToken(instance: InstanceMetadata, request: IncomingMessage, tokens: TokenSigner): Answer {
  if (request.headers['x-forwarded-for'] !== undefined) return { status: 403 };
  const ttl = request.headers[TTL_HEADER];
  if (typeof ttl !== 'string' || !/^[1-9][0-9]{0,4}$/.test(ttl) || Number(ttl) > MAX_TTL_SECONDS)
    return { status: 400 };
  const body = tokens.sign(instance.instanceId, Date.now() + Number(ttl) * 1000);
  return { status: 200, body, headers: { [TTL_HEADER]: ttl } };
}

function isTokenOf(instance: InstanceMetadata, token: string | string[], tokens: TokenSigner): boolean {
  return typeof token === 'string' && tokens.open(token) === instance.instanceId;
}
