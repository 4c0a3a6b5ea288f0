import { createServer, type Server, type Socket } from 'node:net';
import { dialThroughRelay } from './dial';

export interface PublishedPort {
  /** Loopback address of the host. */
  address: string;
  port: number;
  /** Unix socket of the relay of the target's segment. */
  relaySocket: string;
  targetAddress: string;
  targetPort: number;
}

/**
 * Makes one port of a guest reachable at a loopback address of the host. A connection that the guest refuses is
 * reset: TCP cannot refuse any more what has been accepted here. One thing is lost on the way: a client's reset
 * reaches the guest as an end of the client's direction, since a unix socket knows no reset.
 * @throws the system's error (EADDRINUSE, EADDRNOTAVAIL) when the address cannot be listened on
 */
export async function publish(spec: PublishedPort): Promise<{ close(): Promise<void> }> {
  if (!/^127\.\d+\.\d+\.\d+$/.test(spec.address)) throw new Error(`${spec.address} is no loopback address.`);
  const clients = new Set<Socket>();
  const server = createServer({ allowHalfOpen: true, pauseOnConnect: true, noDelay: true }, (client) => {
    clients.add(client);
    client.once('close', () => clients.delete(client));
    client.on('error', () => client.destroy());
    void forward(client, spec);
  });
  await listen(server, spec);
  return {
    async close() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      for (const client of clients) client.destroy();
      await closed;
    },
  };
}

async function forward(client: Socket, spec: PublishedPort): Promise<void> {
  let guest: Socket;
  try {
    guest = await dialThroughRelay(spec.relaySocket, spec.targetAddress, spec.targetPort);
  } catch {
    // Not swallowed: the reset is how this reaches the one who asked.
    client.resetAndDestroy();
    return;
  }
  if (client.destroyed) {
    guest.destroy();
    return;
  }
  guest.on('error', () => client.resetAndDestroy());
  guest.once('close', () => {
    if (!guest.readableEnded) client.resetAndDestroy();
  });
  client.once('close', () => {
    if (!client.readableEnded || !client.writableFinished) guest.destroy();
  });
  client.pipe(guest);
  guest.pipe(client);
  client.resume();
}

function listen(server: Server, spec: PublishedPort): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen({ host: spec.address, port: spec.port }, () => {
      server.off('error', reject);
      resolve();
    });
  });
}
