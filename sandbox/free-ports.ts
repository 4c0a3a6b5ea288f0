import { randomInt } from 'node:crypto';
import { createServer, type Server } from 'node:net';

/**
 * Where ports are drawn from: below 32768, from which Linux takes the ports of outgoing connections (ip(7),
 * ip_local_port_range). A port up there that is free now is anybody's before its server has started, or started again.
 */
const FIRST = 20_000;
const END = 32_768;

/** Ports of 127.0.0.1 that nobody listens on; all are held until each is known, so that they differ. */
export async function freePorts(count: number): Promise<number[]> {
  const servers: Server[] = [];
  const ports: number[] = [];
  try {
    while (ports.length < count) {
      const port = randomInt(FIRST, END);
      const server = await listening(port);
      if (server === undefined) continue;
      servers.push(server);
      ports.push(port);
    }
  } finally {
    await Promise.all(servers.map((server) => new Promise((done) => server.close(done))));
  }
  return ports;
}

/** One port of 127.0.0.1 that nobody listens on. */
export async function freePort(): Promise<number> {
  const [port] = await freePorts(1);
  return port as number;
}

/** @returns undefined where another has the port */
function listening(port: number): Promise<Server | undefined> {
  const server = createServer();
  return new Promise((done, failed) => {
    server.once('error', (error: NodeJS.ErrnoException) =>
      error.code === 'EADDRINUSE' ? done(undefined) : failed(error),
    );
    server.listen(port, '127.0.0.1', () => done(server));
  });
}
