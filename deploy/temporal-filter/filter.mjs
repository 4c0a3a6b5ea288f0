// A filter before a Temporal server's frontend: lets people's calls through by rules.yaml, and refuses all others. docs/security.md says what it
// is for. Callers prove who they are by certificates, which TLS checks; what a call is about is read from the call itself.
//   node filter.mjs            with the settings of the environment below
import { Buffer } from 'node:buffer';
import { readFileSync } from 'node:fs';
import http2 from 'node:http2';
import { gunzipSync } from 'node:zlib';
import { decide, readRules } from './rules.mjs';

const {
  FILTER_LISTEN = '127.0.0.1:7243',
  FILTER_RULES = new URL('rules.yaml', import.meta.url).pathname,
  FILTER_CERT, // PEM files: the filter's own certificate and key, and the authority of the callers'
  FILTER_KEY,
  FILTER_CLIENT_CA,
  UPSTREAM = 'http://127.0.0.1:7233', // the server; https:// for TLS
  UPSTREAM_CA,
  UPSTREAM_CERT,
  UPSTREAM_KEY,
  UPSTREAM_API_KEY_FILE,
} = process.env;

const SERVICE = '/temporal.api.workflowservice.v1.WorkflowService/';
const HEALTH = '/grpc.health.v1.Health/Check';
/** Temporal's own limit of a request (4 MiB), with its frame. */
const LARGEST = 4 * 1024 * 1024 + 5;
const STATUS = { invalid: 3, refused: 7, tooLarge: 8, unavailable: 14 };

const file = (path) => (path === undefined ? undefined : readFileSync(path));
const rules = readRules(FILTER_RULES);
const log = (entry) => console.log(JSON.stringify({ at: new Date().toISOString(), ...entry }));

let session;
function upstream() {
  if (session === undefined || session.closed || session.destroyed) {
    session = http2.connect(UPSTREAM, {
      ca: file(UPSTREAM_CA),
      cert: file(UPSTREAM_CERT),
      key: file(UPSTREAM_KEY),
    });
    session.on('error', (error) => log({ upstream: error.message }));
  }
  return session;
}

/** As the gRPC protocol wants a status message: printable ASCII as it is, but for `%`. */
const percentEncoded = (text) =>
  text.replace(/[^\x20-\x24\x26-\x7e]/gu, (letter) =>
    [...Buffer.from(letter)].map((byte) => `%${byte.toString(16).toUpperCase().padStart(2, '0')}`).join(''),
  );

/** Ends a call with a gRPC status, as a server does that has nothing else to say. */
function end(stream, status, message) {
  if (stream.closed || stream.destroyed) return;
  if (stream.headersSent) return stream.close(http2.constants.NGHTTP2_INTERNAL_ERROR);
  stream.respond(
    {
      ...{ ':status': 200, 'content-type': 'application/grpc' },
      ...{ 'grpc-status': String(status), 'grpc-message': percentEncoded(message) },
    },
    { endStream: true },
  );
}

/** The one message of a unary call. @throws where it is none */
function messageIn(body, encoding) {
  if (body.length < 5 || body.readUInt32BE(1) !== body.length - 5) throw new Error('not one message');
  const message = body.subarray(5);
  if (body[0] === 0) return message;
  if (encoding !== 'gzip') throw new Error(`compressed by ${encoding}`);
  return gunzipSync(message, { maxOutputLength: LARGEST });
}

function framed(message) {
  const frame = Buffer.alloc(5);
  frame.writeUInt32BE(message.length, 1);
  return Buffer.concat([frame, message]);
}

/** What of a caller's headers the server gets: none that says who it is. */
function forwarded(headers) {
  const kept = Object.entries(headers).filter(
    ([name]) =>
      !/^(:authority|authorization|grpc-encoding|content-length|connection)$|principal|caller/.test(name),
  );
  const key = UPSTREAM_API_KEY_FILE && readFileSync(UPSTREAM_API_KEY_FILE, 'utf8').trim();
  return { ...Object.fromEntries(kept), ...(key ? { authorization: `Bearer ${key}` } : {}) };
}

function forward(stream, headers, body) {
  const call = upstream().request(forwarded(headers));
  let trailers = {};
  call.on('response', (answer, flags) => {
    if (stream.destroyed) return;
    if ((flags & http2.constants.NGHTTP2_FLAG_END_STREAM) !== 0)
      return stream.respond(answer, { endStream: true });
    stream.respond(answer, { waitForTrailers: true });
    stream.on('wantTrailers', () => stream.sendTrailers(trailers));
    call.pipe(stream);
  });
  call.on('trailers', (sent) => {
    trailers = Object.fromEntries(Object.entries(sent).filter(([name]) => !name.startsWith(':')));
  });
  call.on('error', (error) =>
    end(stream, STATUS.unavailable, `the server does not answer: ${error.message}`),
  );
  // A caller that gives up is one that the server need not answer.
  stream.on('close', () => call.close(http2.constants.NGHTTP2_CANCEL));
  call.end(body);
}

function answer(stream, headers, body) {
  const path = headers[':path'];
  const who = stream.session?.socket?.getPeerCertificate?.().subject?.CN;
  if (typeof who !== 'string') return end(stream, STATUS.refused, 'your certificate has no common name');
  if (path === HEALTH) return forward(stream, headers, body);
  if (!path.startsWith(SERVICE)) {
    log({ who, path, allowed: false });
    return end(stream, STATUS.refused, `${path} is not for those who come this way`);
  }
  const method = path.slice(SERVICE.length);
  let decided;
  try {
    decided = decide(rules, who, method, messageIn(body, headers['grpc-encoding']));
  } catch (error) {
    log({ who, method, allowed: false, error: error.message });
    return end(stream, STATUS.invalid, 'the call cannot be read');
  }
  const { refused, about, message } = decided;
  if (refused !== undefined || about !== undefined)
    log({
      who,
      method,
      about,
      allowed: refused === undefined,
      ...(refused === undefined ? {} : { refused }),
    });
  if (refused !== undefined) return end(stream, STATUS.refused, refused);
  forward(stream, headers, framed(message));
}

const server = http2.createSecureServer({
  ...{ cert: file(FILTER_CERT), key: file(FILTER_KEY), ca: file(FILTER_CLIENT_CA) },
  ...{ requestCert: true, rejectUnauthorized: true, minVersion: 'TLSv1.2' },
});
server.on('stream', (stream, headers) => {
  const chunks = [];
  let length = 0;
  stream.on('error', () => undefined);
  stream.on('data', (chunk) => {
    length += chunk.length;
    if (length > LARGEST) return end(stream, STATUS.tooLarge, 'the call is too large');
    chunks.push(chunk);
  });
  stream.on('end', () => {
    if (length <= LARGEST) answer(stream, headers, Buffer.concat(chunks));
  });
});
server.on('sessionError', (error) => log({ session: error.message }));
const [, host, port] = /^(.*):(\d+)$/.exec(FILTER_LISTEN) ?? [];
server.listen(Number(port), host.replace(/^\[|\]$/g, ''), () => log({ listening: FILTER_LISTEN }));
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => process.exit(0));
