import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { type Server as HttpServer } from 'node:http';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { dialThroughRelay, RelayRefusedError } from '../../machines/network/dial';
import { publish } from '../../machines/network/publish';
import { createRelay } from '../../machines/network/relay';

/** The relay and published ports, with a TCP server on loopback as the guest. */

let directory: string;
let relay: HttpServer;
let relaySocket: string;
const cleanups: (() => Promise<void>)[] = [];

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'relay-'));
  relaySocket = join(directory, 's');
  relay = createRelay('127.0.0.0/24');
  await new Promise<void>((resolve) => relay.listen(relaySocket, resolve));
});

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
  relay.closeAllConnections();
  await new Promise((resolve) => relay.close(resolve));
  await rm(directory, { recursive: true });
});

async function guest(onConnection: (socket: Socket) => void): Promise<number> {
  const sockets = new Set<Socket>();
  const server: Server = createServer({ allowHalfOpen: true }, (socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    onConnection(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  cleanups.push(async () => {
    for (const socket of sockets) socket.destroy();
    await new Promise((resolve) => server.close(resolve));
  });
  return (server.address() as AddressInfo).port;
}

async function publishedPort(targetPort: number): Promise<number> {
  const free = createServer();
  await new Promise<void>((resolve) => free.listen(0, '127.0.0.1', resolve));
  const { port } = free.address() as AddressInfo;
  await new Promise((resolve) => free.close(resolve));
  const published = await publish({
    address: '127.0.0.1',
    port,
    relaySocket,
    targetAddress: '127.0.0.1',
    targetPort,
  });
  cleanups.push(() => published.close());
  return port;
}

async function readAll(socket: Socket): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of socket) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

it('carries both directions, and a request whose end the client has sent still gets its answer', async () => {
  const port = await guest((socket) => {
    void readAll(socket).then((received) => socket.end(`${received.length}:${received.toString()}`));
  });
  const socket = await dialThroughRelay(relaySocket, '127.0.0.1', port);
  socket.end('question');
  expect((await readAll(socket)).toString()).toBe('8:question');
});

it('passes on what a guest says first, with its end', async () => {
  const port = await guest((socket) => socket.end('220 hello'));
  const socket = await dialThroughRelay(relaySocket, '127.0.0.1', port);
  expect((await readAll(socket)).toString()).toBe('220 hello');
  socket.end();
});

it('carries a stream larger than every buffer to a reader who begins late, whole', async () => {
  const sent = randomBytes(8 * 1024 * 1024);
  const port = await guest((socket) => socket.end(sent));
  const published = await publishedPort(port);
  const socket = connect({ port: published, host: '127.0.0.1', allowHalfOpen: true });
  await new Promise((resolve) => setTimeout(resolve, 200));
  expect((await readAll(socket)).equals(sent)).toBe(true);
  socket.end();
});

it('answers 502 with the reason when the guest refuses', async () => {
  const port = await guest(() => {});
  await cleanups.pop()?.();
  const error = await dialThroughRelay(relaySocket, '127.0.0.1', port).catch((reason: unknown) => reason);
  expect(error).toBeInstanceOf(RelayRefusedError);
  expect(error).toMatchObject({ status: 502, message: expect.stringContaining('ECONNREFUSED') as string });
});

it.each([
  ['127.0.1.1', 403],
  ['10.0.2.7', 403],
  ['localhost', 400],
  ['127.0.0.1.example', 400],
])('does not connect to %s', async (address, status) => {
  await expect(dialThroughRelay(relaySocket, address, 80)).rejects.toMatchObject({ status });
});

it('resets a published connection when the guest refuses', async () => {
  const port = await guest(() => {});
  await cleanups.pop()?.();
  const socket = connect({ port: await publishedPort(port), host: '127.0.0.1' });
  await expect(readAll(socket)).rejects.toMatchObject({ code: 'ECONNRESET' });
});

it('resets a published connection when the relay is gone', async () => {
  const published = await publishedPort(1);
  await new Promise((resolve) => relay.close(resolve));
  const socket = connect({ port: published, host: '127.0.0.1' });
  await expect(readAll(socket)).rejects.toMatchObject({ code: 'ECONNRESET' });
  await new Promise<void>((resolve) => relay.listen(relaySocket, resolve));
});

it('tells the guest when its client goes away, and lets go of all sockets', async () => {
  const ended = new Promise<void>((resolve) => {
    void guest((socket) => {
      socket.resume();
      // What crosses a unix socket when a client dies is an end of its direction; a server answers that by its own.
      socket.once('end', () => socket.end());
      socket.once('close', () => resolve());
      socket.write('x');
    }).then(async (port) => {
      const socket = connect({ port: await publishedPort(port), host: '127.0.0.1' });
      socket.once('data', () => socket.resetAndDestroy());
    });
  });
  await ended;
  await new Promise((resolve) => setTimeout(resolve, 50));
  const open = await new Promise<number>((resolve) =>
    relay.getConnections((_error, count) => resolve(count)),
  );
  expect(open).toBe(0);
});

it('publishes on loopback only', async () => {
  const port = { port: 1, relaySocket, targetAddress: '127.0.0.1', targetPort: 1 };
  await expect(publish({ ...port, address: '0.0.0.0' })).rejects.toThrow('no loopback address');
});
