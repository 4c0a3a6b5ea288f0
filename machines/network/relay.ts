import { rmSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { BlockList, connect, isIPv4, type Socket } from 'node:net';
import { type Duplex } from 'node:stream';

/**
 * The door into a segment: guests live in a network namespace, which host processes cannot reach, but unix sockets
 * with a path cross namespaces. This process runs inside the namespace, listens on such a socket and speaks HTTP
 * CONNECT (RFC 9110, 9.3.6), to addresses of its own segment only.
 *
 * Program: node relay.js <socket> <cidr>
 *
 * Imports nothing but Node's own modules, so that Node can run it from source by stripping its types; tests do so.
 */

/** A guest on the same bridge answers in milliseconds; a booting one under emulation may take seconds. */
const CONNECT_TIMEOUT_MILLISECONDS = 10_000;

/** Time a client has for sending its request. */
const REQUEST_TIMEOUT_MILLISECONDS = 10_000;

/** An established tunnel may be idle for long; keep-alive probes end it when the guest has lost its power. */
const KEEP_ALIVE_MILLISECONDS = 30_000;

/** Creates the relay's server; the caller makes it listen. `cidr` is the segment, like 10.0.1.0/24. */
export function createRelay(cidr: string): Server {
  const segment = blockListOf(cidr);
  const server = createServer((_request, response) => {
    response
      .writeHead(405, { allow: 'CONNECT', connection: 'close' })
      .end('This relay answers CONNECT only.\n');
  });
  server.requestTimeout = REQUEST_TIMEOUT_MILLISECONDS;
  server.headersTimeout = REQUEST_TIMEOUT_MILLISECONDS;
  server.on('connect', (request, client: Duplex, head: Buffer) => {
    // Without a listener, a client that goes away early would end this process.
    client.on('error', () => client.destroy());
    const target = parseTarget(request.url ?? '');
    if (!target) return refuse(client, 400, 'The target must be an IPv4 address and a port.');
    if (!segment.check(target.address))
      return refuse(client, 403, `${target.address} is not in segment ${cidr}.`);
    tunnel(client, head, target);
  });
  return server;
}

interface Target {
  address: string;
  port: number;
}

function parseTarget(authority: string): Target | undefined {
  const [, address, digits] = /^([\d.]{7,15}):(\d{1,5})$/.exec(authority) ?? [];
  const port = Number(digits);
  if (!address || !isIPv4(address) || port < 1 || port > 65_535) return undefined;
  return { address, port };
}

function tunnel(client: Duplex, head: Buffer, target: Target): void {
  // Half-open: each side may end its direction and go on receiving; pipe() passes every end on.
  const guest = connect({ host: target.address, port: target.port, allowHalfOpen: true, noDelay: true });
  guest.setKeepAlive(true, KEEP_ALIVE_MILLISECONDS);
  let connected = false;

  const timer = setTimeout(() => {
    guest.destroy();
    refuse(client, 504, `${target.address}:${target.port} does not answer.`);
  }, CONNECT_TIMEOUT_MILLISECONDS);

  guest.once('connect', () => {
    clearTimeout(timer);
    connected = true;
    client.write('HTTP/1.1 200 Connection established\r\n\r\n');
    if (head.length > 0) guest.write(head);
    client.pipe(guest);
    guest.pipe(client);
  });
  guest.once('error', (error: NodeJS.ErrnoException) => {
    clearTimeout(timer);
    if (connected) client.destroy();
    else refuse(client, 502, `${target.address}:${target.port}: ${error.code ?? error.message}`);
  });
  client.once('close', () => {
    clearTimeout(timer);
    // After a clean end both ways this finds nothing to do; after a client's failure the guest learns of it.
    if (!client.readableEnded) (guest as Socket).resetAndDestroy();
    else if (!client.writableFinished) guest.destroy();
  });
  guest.once('close', (failed: boolean) => {
    if (connected && failed) client.destroy();
  });
}

function refuse(client: Duplex, status: 400 | 403 | 502 | 504, reason: string): void {
  if (client.destroyed || client.writableEnded) return;
  const name = { 400: 'Bad Request', 403: 'Forbidden', 502: 'Bad Gateway', 504: 'Gateway Timeout' }[status];
  const body = `${reason}\n`;
  client.end(
    `HTTP/1.1 ${status} ${name}\r\ncontent-type: text/plain\r\ncontent-length: ${Buffer.byteLength(body)}\r\n` +
      `connection: close\r\n\r\n${body}`,
  );
  // Reads and drops what still comes, or the client's end would never be seen and the socket never closed.
  client.resume();
}

function blockListOf(cidr: string): BlockList {
  const [address, bits] = cidr.split('/');
  if (!address || !isIPv4(address) || !bits || !/^\d+$/.test(bits))
    throw new Error(`"${cidr}" is no IPv4 CIDR block.`);
  const list = new BlockList();
  list.addSubnet(address, Number(bits));
  return list;
}

/** Listens on `socketPath`; takes the place of a dead relay's socket, and leaves a live one alone. */
function listen(server: Server, socketPath: string): void {
  server.once('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EADDRINUSE') throw error;
    const probe = connect(socketPath);
    probe.once('connect', () => process.exit(0));
    probe.once('error', () => {
      rmSync(socketPath, { force: true });
      server.listen(socketPath);
    });
  });
  server.listen(socketPath);
}

// Compared by name because this file runs both as CommonJS (compiled) and as an ES module (types stripped), and
// the two have no common way to ask whether a file is the program.
if (/[\\/]relay\.[jt]s$/.test(process.argv[1] ?? '')) {
  const [socketPath, cidr] = process.argv.slice(2);
  if (!socketPath || !cidr) throw new Error('Usage: relay <socket> <cidr>');
  listen(createRelay(cidr), socketPath);
}
