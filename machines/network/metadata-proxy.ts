import { writeFileSync } from 'node:fs';
import { connect, createServer, type Server } from 'node:net';

/**
 * The instance metadata address of a segment: guests ask it in their network namespace, and whoever runs them answers on a unix
 * socket outside of it. Each connection is passed on as it is, behind a line of the PROXY protocol, version 1, that says whose
 * it is.
 *
 * Program: node metadata-proxy.js <address> <port> <socket> <pid file>
 *
 * Imports nothing but Node's own modules, so that Node can run it from source by stripping its types; tests do so.
 */

/** A guest asks once and reads at once; more connections than this at a time are none of one that means well. */
const MAX_CONNECTIONS = 200;
const IDLE_MILLISECONDS = 30_000;

export function createMetadataProxy(socketPath: string): Server {
  // Half-open: each side may end its direction and go on receiving; pipe() passes every end on.
  const server = createServer({ allowHalfOpen: true }, (guest) => {
    const { remoteAddress, remotePort, localAddress, localPort } = guest;
    const service = connect({ path: socketPath, allowHalfOpen: true });
    const drop = (): void => {
      guest.destroy();
      service.destroy();
    };
    guest.setTimeout(IDLE_MILLISECONDS, drop);
    guest.once('error', drop);
    service.once('error', drop);
    service.once('connect', () => {
      service.write(`PROXY TCP4 ${remoteAddress} ${localAddress} ${remotePort} ${localPort}\r\n`);
      guest.pipe(service);
      service.pipe(guest);
    });
    guest.once('close', () => service.destroy());
  });
  server.maxConnections = MAX_CONNECTIONS;
  return server;
}

// Compared by name because this file runs both as CommonJS (compiled) and as an ES module (types stripped), and
// the two have no common way to ask whether a file is the program.
if (/[\\/]metadata-proxy\.[jt]s$/.test(process.argv[1] ?? '')) {
  const [address, port, socketPath, pidFile] = process.argv.slice(2);
  if (!address || !port || !socketPath || !pidFile)
    throw new Error('Usage: metadata-proxy <address> <port> <socket> <pid file>');
  const server = createMetadataProxy(socketPath);
  server.once('error', (error: NodeJS.ErrnoException) => {
    // Another one was started at the same time, and that one serves.
    if (error.code !== 'EADDRINUSE') throw error;
  });
  server.listen({ host: address, port: Number(port) }, () => writeFileSync(pidFile, `${process.pid}\n`));
}
