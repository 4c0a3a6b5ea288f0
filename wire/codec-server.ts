import { createServer as createHttpServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import { type AddressInfo } from 'node:net';
import { type Payload, type PayloadCodec } from '@temporalio/common';
import { messageOf } from '../host/message-of';
import { payloadsOf, textOfPayloads } from './payload-json';
import { WireError } from './wire-error';

/** What Temporal's Web UI and CLI ask to read and write payloads. */
export interface CodecServerOptions {
  /** IP address. */
  host: string;
  port: number;
  /** PEM; without it the server speaks HTTP. */
  tls?: { cert: string; key: string };
  /** Pages that may ask, such as `https://temporal.example`. Programs send no origin, and are let in by the token alone. */
  origins: readonly string[];
  /** Whether a bearer token is good; where this is absent, none is asked for. @throws WireError where that cannot be told */
  accepts?: (token: string) => boolean;
  /** Of the payloads of a namespace. */
  codecOf: (namespace: string) => PayloadCodec;
  /** For requests that name none. */
  namespace: string;
}

/** An answer that is no success. */
class Refusal extends Error {
  constructor(
    readonly status: number,
    message: string,
  ) {
    super(message);
  }
}

/** Bytes of a request: a history's page is 4 MB at most (gRPC's limit), and base64 makes it longer by a third. */
const LARGEST_BODY = 8 * 1024 * 1024;
/** Requests under way, each with its body in memory. */
const AT_ONCE = 16;
/** "up to 255 characters" of a namespace: Temporal's default limit of names is 1000, and nobody has such. */
const LONGEST_NAMESPACE = 255;

/** What a page may ask with: the Web UI's headers. */
const HEADERS = 'authorization, content-type, x-namespace';

/**
 * Serves Temporal's remote codec protocol: POST /encode and /decode of `{"payloads": […]}` (docs.temporal.io/production-deployment/data-encryption).
 * @returns its address, and what ends it
 */
export async function startCodecServer(
  options: CodecServerOptions,
): Promise<{ url: string; close: () => Promise<void> }> {
  let underWay = 0;
  const listener = (request: IncomingMessage, response: ServerResponse): void => {
    underWay++;
    response.once('close', () => underWay--);
    void serve(options, request, response, underWay > AT_ONCE);
  };
  const limits = { requestTimeout: 30_000, headersTimeout: 10_000, maxHeaderSize: 32 * 1024 };
  const server = options.tls
    ? createHttpsServer({ ...limits, ...options.tls }, listener)
    : createHttpServer(limits, listener);
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(options.port, options.host, resolve);
  });
  const { address, family, port } = server.address() as AddressInfo;
  const host = family === 'IPv6' ? `[${address}]` : address;
  return {
    url: `${options.tls ? 'https' : 'http'}://${host}:${port}`,
    close: async () => {
      const closed = new Promise((resolve) => server.close(resolve));
      server.closeAllConnections();
      await closed;
    },
  };
}

async function serve(
  options: CodecServerOptions,
  request: IncomingMessage,
  response: ServerResponse,
  busy: boolean,
): Promise<void> {
  const answer = (status: number, body?: object): void => {
    const text = body === undefined ? '' : JSON.stringify(body);
    // What was decrypted is nothing for a cache, and what was refused may still be on its way.
    response.writeHead(status, {
      'cache-control': 'no-store',
      'x-content-type-options': 'nosniff',
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      'content-length': Buffer.byteLength(text),
      ...(status === 413 || status === 503 ? { connection: 'close' } : {}),
    });
    response.end(text);
  };
  try {
    allowOrigin(options, request, response);
    if (request.method === 'OPTIONS') return answer(204);
    const coding = codingOf(request);
    requireToken(options, request);
    if (busy) throw new Refusal(503, 'Too many requests at once.');
    const codec = options.codecOf(namespaceOf(options, request));
    const payloads = payloadsOf(await jsonOf(request));
    if (payloads === undefined)
      throw new Refusal(
        400,
        'The body must be {"payloads": [{"metadata": {…}, "data": "…"}]}, with values in base64.',
      );
    answer(200, textOfPayloads(await coding(codec, payloads)));
  } catch (error) {
    if (response.headersSent || response.destroyed) return;
    const refused = error instanceof Refusal ? error : undefined;
    const ours = error instanceof WireError;
    if (refused === undefined && !ours) console.error(`A request to the codec failed: ${messageOf(error)}`);
    answer(refused?.status ?? (ours ? 400 : 500), {
      error: refused || ours ? messageOf(error) : 'The codec has failed; its own output says why.',
    });
  }
}

/** A page elsewhere must neither read nor ask. A program sends no origin. */
function allowOrigin(
  { origins }: CodecServerOptions,
  { headers }: IncomingMessage,
  response: ServerResponse,
): void {
  response.setHeader('vary', 'origin');
  const { origin } = headers;
  if (origin === undefined) return;
  if (!origins.includes(origin))
    throw new Refusal(403, 'Pages of this origin are not let in (lifeboat codec --origin).');
  response.setHeader('access-control-allow-origin', origin);
  response.setHeader('access-control-allow-methods', 'POST');
  response.setHeader('access-control-allow-headers', HEADERS);
  // A Web UI that is no page of this host asks a codec that is: "Private Network Access", WICG.
  if (headers['access-control-request-private-network'] === 'true')
    response.setHeader('access-control-allow-private-network', 'true');
}

type Coding = (codec: PayloadCodec, payloads: Payload[]) => Promise<Payload[]>;

function codingOf({ method, url = '', headers }: IncomingMessage): Coding {
  const [path = ''] = url.split('?');
  const coding: Coding | undefined = path.endsWith('/decode')
    ? (codec, payloads) => codec.decode(payloads)
    : path.endsWith('/encode')
      ? (codec, payloads) => codec.encode(payloads)
      : undefined;
  if (coding === undefined) throw new Refusal(404, 'There are /encode and /decode.');
  if (method !== 'POST') throw new Refusal(405, 'It is asked by POST.');
  // What a form of any page can send without being asked first has another type.
  if (!/^application\/json\s*(;|$)/i.test(headers['content-type'] ?? ''))
    throw new Refusal(415, 'The body must be application/json.');
  return coding;
}

function requireToken({ accepts }: CodecServerOptions, { headers }: IncomingMessage): void {
  if (accepts === undefined) return;
  const [, token] = /^Bearer +(\S+)$/i.exec(headers.authorization ?? '') ?? [];
  if (token === undefined || !accepts(token))
    throw new Refusal(401, 'It needs a token: Authorization: Bearer … (lifeboat codec --token-file).');
}

function namespaceOf({ namespace }: CodecServerOptions, { headers }: IncomingMessage): string {
  const named = headers['x-namespace'];
  if (named === undefined || named === '') return namespace;
  if (typeof named !== 'string' || named.length > LONGEST_NAMESPACE)
    throw new Refusal(400, 'X-Namespace must be one namespace.');
  return named;
}

async function jsonOf(request: IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    length += chunk.length;
    if (length > LARGEST_BODY) throw new Refusal(413, `A request has ${LARGEST_BODY} bytes at most.`);
    chunks.push(chunk);
  }
  try {
    return JSON.parse(Buffer.concat(chunks).toString('utf8')) as unknown;
  } catch {
    throw new Refusal(400, 'The body is no JSON.');
  }
}
