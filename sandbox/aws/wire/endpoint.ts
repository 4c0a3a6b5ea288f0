import { randomUUID } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { messageOf } from '../../../host/message-of';
import { type Principal } from '../iam/principal';
import { type IncomingBody, objectBody, plainBody } from './body';
import { AwsError } from './errors';
import { writeError } from './error-response';
import { type Credential, requestCredential } from './identity';
import { jsonOperation, readJson, writeJson } from './json-rpc';
import { readQuery, writeQuery } from './query';
import { readRest, type RestResponse, writeRest } from './rest';
import { routeRequest } from './routing';
import { s3Target } from './s3-target';
import { type Operation, type Service } from './service';
import { receivedHeaders } from './signature/received-headers';
import { type SignatureVerifier } from './signature/verify';

/** A request on its way to its handler. */
export interface Call {
  requestId: string;
  /** Signing name of the service. */
  service: string;
  operation: string;
  input: Record<string, unknown>;
  /** Who makes it. */
  principal: Principal;
}

/** Thrown instead of an answer: the client sees its connection reset. */
export class ConnectionResetError extends Error {
  constructor() {
    super('the connection is reset');
    this.name = 'ConnectionResetError';
  }
}

/** Behaviour of operations by name. A service's operations without one are answered as not implemented. */
export type Handlers = Record<string, (input: never, call: Call) => object | void | Promise<object | void>>;

export interface EndpointOptions {
  services: { service: Service; handlers: Handlers }[];
  signatures: SignatureVerifier<Principal>;
  /** Told of every request whose signature is refused, before it is answered. */
  onUnverified?: (refused: { service: string; accessKeyId: string | undefined; error: AwsError }) => void;
  /**
   * Every request passes through here when its parameters are read, right before it is handled: refuses by an AwsError what its
   * principal may not do.
   */
  authorize?: (call: Call) => void;
  /** Whether it is known what an operation asks of policies. One of which it is not is not offered to anybody. */
  isJudged?: (service: string, operation: string) => boolean;
  /**
   * Every request passes through here between being understood and being handled: the one place for faults, rate
   * limits and delays. It throws an AwsError to refuse a request.
   */
  intercept?: (call: Call, handle: () => Promise<object>) => Promise<object>;
  /** What the person who runs the endpoint should see: failures of the endpoint itself. */
  log: (message: string, error: unknown) => void;
}

/** Query forms are held in memory; EC2 takes no larger requests. */
const FORM_LIMIT = 2 * 1024 * 1024;
/** Payloads that have to be read before their signature can be checked; of these, documents of Route 53 are the largest. */
const HELD_LIMIT = 8 * 1024 * 1024;

/** One port that answers for every service, told apart by the credential scope of the signature. */
export function createEndpoint(options: EndpointOptions): Server {
  for (const { service, handlers } of options.services)
    for (const name of Object.keys(handlers)) {
      if (!service.operations.has(name)) throw new Error(`${service.signingName} has no operation ${name}`);
      if (options.isJudged?.(service.signingName, name) === false)
        throw new Error(
          `sandbox/aws/iam/calls does not say what ${service.signingName}:${name} asks of policies`,
        );
    }
  // A block upload may wait long behind others on a busy machine; clients have their own timeouts.
  const server = createServer({ requestTimeout: 0, keepAliveTimeout: 60_000 }, (request, response) => {
    answer(options, request, response).catch((error: unknown) => {
      // Asked for by a fault, it is none of the endpoint's own.
      if (!(error instanceof ConnectionResetError)) options.log('a response broke off', error);
      response.destroy();
    });
  });
  return server;
}

async function answer(
  options: EndpointOptions,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const requestId = randomUUID();
  // Not new URL(): it folds "//" and ".." in S3 keys.
  const [rawPath = '/', search = ''] = splitOnce(request.url ?? '/', '?');
  const query = new URLSearchParams(search);
  const credential = requestCredential(request.headers, query);
  const { service, handlers } = chooseService(options, credential);
  let reply: RestResponse;
  try {
    const target = { rawPath, search, query };
    const { principal, body } = await verified(options, service, { request, credential, ...target });
    reply = await handle({ options, service, handlers, request, requestId, ...target, principal, body });
  } catch (error) {
    if (error instanceof ConnectionResetError) {
      request.socket.resetAndDestroy();
      return;
    }
    reply = writeError(service, asAwsError(options, error), requestId);
    // Let the client finish sending before it reads the answer; node closes the connection where it does not.
    request.resume();
  }
  await send(request, response, reply, requestId);
}

interface Exchange {
  options: EndpointOptions;
  service: Service;
  handlers: Handlers;
  request: IncomingMessage;
  requestId: string;
  rawPath: string;
  query: URLSearchParams;
  principal: Principal;
  /** Its digest or its chunks are compared with what was signed while it is read. */
  body: IncomingBody & { checksums?: Record<string, string> };
}

async function handle(exchange: Exchange): Promise<RestResponse> {
  const { service, request, requestId, query } = exchange;
  if (service.kind === 'ec2Query' || service.kind === 'awsQuery') {
    const form =
      request.method === 'POST'
        ? new URLSearchParams((await exchange.body.collect(FORM_LIMIT)).toString())
        : query;
    const action = form.get('Action') ?? '';
    const operation = service.operations.get(action);
    if (operation === undefined || !Object.hasOwn(exchange.handlers, action))
      throw new AwsError('InvalidAction', `The action ${action} is not valid for this web service.`);
    const output = await perform(exchange, operation, readQuery(service, operation, form));
    const body = writeQuery(service, operation, output, requestId);
    return { status: 200, headers: { 'content-type': 'text/xml;charset=UTF-8' }, body };
  }
  if (service.kind === 'awsJson1_1') {
    const operation = jsonOperation(service, request.headers);
    if (operation === undefined || !Object.hasOwn(exchange.handlers, operation.name))
      throw new AwsError(
        'UnknownOperationException',
        `Not implemented: ${operation?.name ?? 'no operation'}`,
      );
    const body = (await exchange.body.collect(FORM_LIMIT)).toString();
    return writeJson(operation, await perform(exchange, operation, readJson(operation, body)));
  }
  const target =
    service.signingName === 's3'
      ? s3Target(exchange.rawPath, request.headers.host)
      : { path: exchange.rawPath };
  const route = routeRequest(service, {
    method: request.method ?? 'GET',
    query,
    headers: request.headers,
    ...target,
  });
  if (route === undefined || !Object.hasOwn(exchange.handlers, route.operation.name)) {
    const what = `${request.method} ${exchange.rawPath} (${route?.operation.name ?? 'no operation'})`;
    throw service.signingName === 's3'
      ? new AwsError('NotImplemented', `A header or operation you provided is not implemented: ${what}`, 501)
      : new AwsError('UnknownOperationException', `Not implemented: ${what}`, 404);
  }
  const input = await readRest(service, route, {
    headers: request.headers,
    query,
    body: exchange.body,
    bucket: target.bucket,
  });
  return writeRest(service, route.operation, await perform(exchange, route.operation, input));
}

async function perform(
  exchange: Exchange,
  operation: Operation,
  input: Record<string, unknown>,
): Promise<object> {
  const { service, requestId, options, principal } = exchange;
  for (const name of operation.required)
    if (input[name] === undefined)
      throw service.kind === 'restJson1' || service.kind === 'awsJson1_1'
        ? new AwsError('ValidationException', `${name} is required.`)
        : new AwsError('MissingParameter', `The request must contain the parameter ${name}`);
  const call: Call = { requestId, service: service.signingName, operation: operation.name, input, principal };
  const handler = exchange.handlers[operation.name]!;
  const run = async (): Promise<object> => {
    options.authorize?.(call);
    return (await handler(input as never, call)) ?? {};
  };
  return options.intercept === undefined ? run() : options.intercept(call, run);
}

function chooseService(
  options: EndpointOptions,
  credential: Credential | undefined,
): EndpointOptions['services'][number] {
  const found = options.services.find(({ service }) => service.signingName === credential?.signingName);
  // Without a signature nothing says whose request it is; S3 is what browsers and health checks mean.
  const fallback =
    options.services.find(({ service }) => service.signingName === 's3') ?? options.services[0];
  if (fallback === undefined) throw new Error('the endpoint has no services');
  return found ?? fallback;
}

async function verified(
  options: EndpointOptions,
  service: Service,
  {
    request,
    credential,
    rawPath,
    search,
    query,
  }: {
    request: IncomingMessage;
    credential: Credential | undefined;
    rawPath: string;
    search: string;
    query: URLSearchParams;
  },
): Promise<Pick<Exchange, 'principal' | 'body'>> {
  let held: Buffer | undefined;
  let unread: unknown;
  const received = {
    method: request.method ?? 'GET',
    path: rawPath,
    search,
    query,
    headers: receivedHeaders(request.rawHeaders),
  };
  const payload = async (): Promise<Buffer> => {
    try {
      held = await plainBody(request).collect(HELD_LIMIT);
      return held;
    } catch (error) {
      unread = error;
      throw error;
    }
  };
  const { owner, signingName, checks } = await options.signatures
    .verify(service, received, payload)
    .catch((error: unknown) => {
      // A payload that is too large, or breaks off, says nothing of who sends it.
      if (error instanceof AwsError && error !== unread)
        options.onUnverified?.({ service: service.signingName, accessKeyId: credential?.accessKeyId, error });
      throw error;
    });
  if (signingName !== service.signingName)
    throw new AwsError('NotImplemented', `The service ${signingName} is not offered here.`, 501);
  const body =
    service.signingName === 's3'
      ? objectBody(request, checks.chunks)
      : plainBody(request, { held, sha256: checks.sha256 });
  return { principal: owner, body };
}

function asAwsError(options: EndpointOptions, error: unknown): AwsError {
  if (error instanceof AwsError) return error;
  options.log('a request failed', error);
  return new AwsError('InternalError', messageOf(error), 500);
}

async function send(
  request: IncomingMessage,
  response: ServerResponse,
  reply: RestResponse,
  id: string,
): Promise<void> {
  const headers: Record<string, string | number> = {
    'x-amz-request-id': id,
    'x-amzn-requestid': id,
    ...reply.headers,
  };
  const { body, status } = reply;
  const bytes = typeof body === 'string' ? Buffer.from(body) : body instanceof Uint8Array ? body : undefined;
  const bodiless = status === 204 || status === 304;
  if (headers['content-length'] === undefined && !bodiless && (bytes !== undefined || body === undefined))
    headers['content-length'] = bytes?.length ?? 0;
  if (bodiless) delete headers['content-length'];
  response.writeHead(status, headers);
  if (request.method === 'HEAD' || bodiless || body === undefined) response.end();
  else if (bytes !== undefined) response.end(bytes);
  else await sendPieces(body as AsyncIterable<Uint8Array>, response);
}

/** Sends piece after piece; the next one is asked for when the one before is out of this process's hands. */
async function sendPieces(pieces: AsyncIterable<Uint8Array>, response: ServerResponse): Promise<void> {
  for await (const piece of pieces) {
    const gone = await new Promise<Error | null | undefined>((sent) => {
      // A client that goes away ends its connection's writes with an error.
      response.write(piece, sent);
    });
    if (gone) throw gone;
  }
  response.end();
}

function splitOnce(text: string, separator: string): [string, string] {
  const at = text.indexOf(separator);
  return at < 0 ? [text, ''] : [text.slice(0, at), text.slice(at + 1)];
}
