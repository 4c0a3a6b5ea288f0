import { createServer as createHttpServer, type Server as HttpServer } from 'node:http';
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { dialer, parseDialRoutes } from '../../activities/dial';
import { lastLines } from '../../activities/console';
import { type ProbeRequest, waitUntilAnswers } from '../../activities/probe';

const servers: (Server | HttpServer)[] = [];
const sockets = new Set<Socket>();
async function listening<S extends Server | HttpServer>(server: S, path?: string): Promise<number> {
  servers.push(server);
  server.on('connection', (socket) => sockets.add(socket.on('error', () => undefined)));
  await new Promise<void>((resolve) => {
    if (path === undefined) server.listen(0, '127.0.0.1', resolve);
    else server.listen(path, resolve);
  });
  return path === undefined ? (server.address() as AddressInfo).port : 0;
}
afterEach(async () => {
  for (const socket of sockets) socket.destroy();
  sockets.clear();
  for (const server of servers.splice(0)) await new Promise((resolve) => server.close(resolve));
});

/** A port that nothing listens on. */
async function closedPort(): Promise<number> {
  const server = createServer();
  const port = await listening(server);
  await new Promise((resolve) => server.close(resolve));
  return port;
}

function probing(
  probe: ProbeRequest['probe'],
  more: Partial<ProbeRequest> = {},
): Promise<{ seconds: number }> {
  return waitUntilAnswers({
    address: '127.0.0.1',
    probe,
    dial: dialer([]),
    console: () => Promise.resolve('Booting\n\u001b[31mpanic:\u001b[0m no root\n'),
    signal: new AbortController().signal,
    heartbeat: () => undefined,
    pollSeconds: 0.05,
    ...more,
  });
}

describe('waitUntilAnswers over TCP', () => {
  it('is satisfied by a connection that stays', async () => {
    const port = await listening(createServer());
    const { seconds } = await probing({ tcp: port, timeout: 10 });
    expect(seconds).toBeLessThan(5);
  });

  it('goes on asking until the port opens', async () => {
    const port = await closedPort();
    let beats = 0;
    const late = createServer();
    servers.push(late);
    setTimeout(() => late.listen(port, '127.0.0.1'), 400);
    const { seconds } = await probing({ tcp: port, timeout: 10 }, { heartbeat: () => (beats += 1) });
    expect(seconds).toBeGreaterThanOrEqual(0.3);
    expect(beats).toBeGreaterThan(2);
  });

  it('does not take a forwarder without a guest for a guest', async () => {
    const port = await listening(createServer((socket) => void socket.destroy()));
    await expect(probing({ tcp: port, timeout: 0.5 })).rejects.toMatchObject({ type: 'NotReady' });
  });

  it("ends after the plan's timeout with the last answer and the console's end", async () => {
    const port = await closedPort();
    await expect(probing({ tcp: port, timeout: 0.3 })).rejects.toMatchObject({
      type: 'NotReady',
      nonRetryable: true,
      message: expect.stringMatching(/ECONNREFUSED[\s\S]*Booting\npanic: no root$/) as string,
    });
  });

  it('says so when the console cannot be read', async () => {
    const port = await closedPort();
    const console = () => Promise.reject(new Error('no console'));
    await expect(probing({ tcp: port, timeout: 0.1 }, { console })).rejects.toThrow(
      'could not be read: no console',
    );
  });

  it('stops when the activity is cancelled', async () => {
    const port = await closedPort();
    const controller = new AbortController();
    setTimeout(() => controller.abort(), 200);
    await expect(probing({ tcp: port, timeout: 60 }, { signal: controller.signal })).rejects.toMatchObject({
      name: 'AbortError',
    });
  });
});

describe('waitUntilAnswers over HTTP', () => {
  const http = (port: number, path = '/ready') => ({ http: { port, path, status: 200 }, timeout: 5 });

  it('asks for the path and wants the status', async () => {
    const asked: (string | undefined)[] = [];
    let status = 503;
    const port = await listening(
      createHttpServer((request, response) => {
        asked.push(request.url, request.headers.host);
        response.writeHead(status).end('body');
        status = 200;
      }),
    );
    await probing(http(port));
    expect(asked).toEqual(['/ready', `127.0.0.1:${port}`, '/ready', `127.0.0.1:${port}`]);
  });

  it('does not read a body without end', async () => {
    const port = await listening(
      createHttpServer((_request, response) => {
        response.writeHead(200);
        const timer = setInterval(() => response.write('x'.repeat(1000)), 5);
        response.on('close', () => clearInterval(timer));
      }),
    );
    await probing(http(port));
  });

  it('reports the status that it got instead', async () => {
    const port = await listening(createHttpServer((_request, response) => response.writeHead(302).end()));
    await expect(probing({ ...http(port), timeout: 0.2 })).rejects.toThrow(
      'it answered with HTTP status 302',
    );
  });

  it('survives a server that speaks no HTTP', async () => {
    const port = await listening(createServer((socket) => socket.end('hello\r\n')));
    await expect(probing({ ...http(port), timeout: 0.2 })).rejects.toMatchObject({ type: 'NotReady' });
  });
});

describe('dialer', () => {
  let directory: string;
  beforeEach(async () => (directory = await mkdtemp(join(tmpdir(), 'dial-'))));
  afterEach(() => rm(directory, { recursive: true }));

  /** An HTTP CONNECT relay that leads every target to one port of this host. */
  async function relay(port: number, targets: string[]): Promise<string> {
    const path = join(directory, 'relay.sock');
    const server = createHttpServer();
    server.on('connect', (request, socket, head) => {
      targets.push(request.url ?? '');
      if (request.url?.startsWith('10.0.1.99') === true) {
        socket.end('HTTP/1.1 502 Bad Gateway\r\n\r\n');
        return;
      }
      const guest = connect(port, '127.0.0.1', () => {
        socket.write('HTTP/1.1 200 Connection established\r\n\r\n');
        guest.write(head);
        guest.pipe(socket).pipe(guest);
      });
      guest.on('error', () => socket.destroy());
      socket.on('error', () => guest.destroy());
    });
    await listening(server, path);
    return path;
  }

  it('asks a guest over HTTP through the relay of its subnet', async () => {
    const port = await listening(createHttpServer((_request, response) => response.end('ok')));
    const targets: string[] = [];
    const dial = dialer(parseDialRoutes(`10.0.2.0/24=/nowhere, 10.0.1.0/24=${await relay(port, targets)}`));
    await probing({ http: { port: 80, path: '/', status: 200 }, timeout: 5 }, { dial, address: '10.0.1.7' });
    expect(targets).toEqual(['10.0.1.7:80']);
  });

  it('hands on what the relay sent together with its answer', async () => {
    const port = await listening(createServer((socket) => socket.end('greeting')));
    const dial = dialer([{ cidr: '10.0.1.0/24', socketPath: await relay(port, []) }]);
    const socket = await dial('10.0.1.7', 6379, AbortSignal.timeout(5000));
    const chunks: Buffer[] = [];
    for await (const chunk of socket) chunks.push(chunk as Buffer);
    expect(Buffer.concat(chunks).toString()).toBe('greeting');
  });

  it('fails as the relay says', async () => {
    const dial = dialer([{ cidr: '10.0.1.0/24', socketPath: await relay(1, []) }]);
    await expect(dial('10.0.1.99', 80, AbortSignal.timeout(5000))).rejects.toThrow(
      '10.0.1.99:80: 502 Bad Gateway',
    );
  });

  it('goes directly to any other address, and nowhere by name', async () => {
    const port = await listening(createServer((socket) => socket.end()));
    const dial = dialer([{ cidr: '10.0.1.0/24', socketPath: '/nowhere' }]);
    const socket = await dial('127.0.0.1', port, AbortSignal.timeout(5000));
    socket.destroy();
    await expect(dial('localhost', port, AbortSignal.timeout(5000))).rejects.toThrow();
  });

  it.each(['10.0.1.0/24', '10.0.1.0/24=relative', 'x=/run/a', '10.0.1.0/33=/run/a', '10.0.1.0=/run/a'])(
    'refuses the route "%s"',
    (text) => expect(() => parseDialRoutes(text)).toThrow('is no route'),
  );

  it('reads no routes from nothing', () => expect(parseDialRoutes(' ')).toEqual([]));
});

describe('lastLines', () => {
  it('keeps the end, without what would move a cursor or turn text around', () => {
    const lines = Array.from({ length: 50 }, (_, index) => `line ${index}`).join('\r\n');
    expect(lastLines(lines).split('\n')).toHaveLength(20);
    expect(lastLines(lines)).toMatch(/line 49$/);
    expect(lastLines('a\u001b[2J\u0007b\u202ec\n\n')).toBe('abc');
    expect(lastLines('y'.repeat(5000))).toHaveLength(200);
    expect(lastLines('')).toBe('(empty)');
  });
});
