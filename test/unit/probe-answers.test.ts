import { readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import {
  createServer as createHttpServer,
  type IncomingMessage,
  type RequestListener,
  type ServerResponse,
} from 'node:http';
import { createServer as createHttpsServer, type ServerOptions } from 'node:https';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { dialer } from '../../activities/dial';
import { type ProbeRequest, waitUntilAnswers } from '../../activities/probe';
import { type Probe } from '../../plan/probes';
import { type Certificate, makeCertificate } from './vim-server';

const servers: Server[] = [];
const sockets = new Set<Socket>();
async function listening(server: Server): Promise<number> {
  servers.push(server);
  server.on('connection', (socket: Socket) => sockets.add(socket.on('error', () => undefined)));
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
  return (server.address() as AddressInfo).port;
}
afterEach(async () => {
  for (const socket of sockets) socket.destroy();
  sockets.clear();
  for (const server of servers.splice(0)) await new Promise((resolve) => server.close(resolve));
});

let directory: string;
let shop: Certificate;
let other: Certificate;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'probe-'));
  shop = makeCertificate(directory, 'shop', 'DNS:www.shop.example,DNS:shop.example');
  other = makeCertificate(directory, 'other', 'IP:127.0.0.1,DNS:other.example');
});
afterAll(() => rm(directory, { recursive: true }));

const pem = ({ certificate }: Certificate): string => readFileSync(certificate, 'utf8');
const tls = (certificate: Certificate, more: ServerOptions = {}): ServerOptions => ({
  cert: pem(certificate),
  key: readFileSync(certificate.key, 'utf8'),
  ...more,
});

function probing(probe: ProbeRequest['probe'], more: Partial<ProbeRequest> = {}) {
  return waitUntilAnswers({
    address: '127.0.0.1',
    probe,
    dial: dialer([]),
    console: () => Promise.resolve('login:'),
    signal: new AbortController().signal,
    heartbeat: () => undefined,
    pollSeconds: 0.05,
    ...more,
  });
}

/** What one try comes to. @returns the failure's text before the console */
async function problemOf(probe: Probe | { all: Probe[] }, more: Partial<ProbeRequest> = {}): Promise<string> {
  const failure: unknown = await probing({ ...probe, timeout: 0.02 }, more).catch((error: unknown) => error);
  if (!(failure instanceof Error)) throw new Error('The probe was answered.');
  return failure.message.replace(
    /^The VM was not ready within 0\.02 seconds\. | The console's end:[^]*$/g,
    '',
  );
}

const http = (port: number, more: Partial<NonNullable<Probe['http']>> = {}): Probe => ({
  http: { port, path: '/', status: 200, ...more },
});
const https = (port: number, more: Partial<NonNullable<Probe['https']>> = {}): Probe => ({
  https: { port, path: '/', status: 200, verify: true, ...more },
});

/** An application that is known by name, as behind a name-based virtual host. */
const byName: RequestListener = (request: IncomingMessage, response: ServerResponse) => {
  if (request.headers.host !== 'www.shop.example') {
    response.writeHead(400, { server: 'nginx', 'content-type': 'text/html' });
    response.end('<html>\n<h1>No such host</h1>\u001b[2J</html>');
  } else response.end('the shop is open');
};

describe('a probe with a host', () => {
  it('reaches the application that answers to its name only', async () => {
    const port = await listening(createHttpServer(byName));
    await probing({ ...http(port, { host: 'www.shop.example' }), timeout: 5 });
  });

  it('tells what was sent and what came, with nothing that a terminal would act on', async () => {
    const port = await listening(createHttpServer(byName));
    expect(await problemOf(http(port, { host: 'www.shop.test', path: '/up' }))).toBe(
      `GET http://127.0.0.1:${port}/up (Host: www.shop.test): it answered with HTTP status 400 Bad Request, not 200 ` +
        '(server: nginx; content-type: text/html); its body begins "<html> <h1>No such host</h1>?[2J</html>".',
    );
  });

  it('tells where a redirect leads, and does not go there', async () => {
    let asked = 0;
    const port = await listening(
      createHttpServer((_request, response) => {
        asked += 1;
        response.writeHead(302, { location: '/login' }).end();
      }),
    );
    expect(await problemOf(http(port))).toContain(
      'it answered with HTTP status 302 Found, not 200 (location: /login; redirects are not followed); its body is empty.',
    );
    expect(asked).toBe(1);
  });

  it('shows little of what is large, and of what never ends', async () => {
    const port = await listening(
      createHttpServer((_request, response) => {
        response.writeHead(500, 'x'.repeat(5000), { server: 'y'.repeat(5000) });
        const timer = setInterval(() => response.write('\u0000€'.repeat(1000)), 5);
        response.on('close', () => clearInterval(timer));
      }),
    );
    const problem = await problemOf(http(port));
    expect(problem).toContain(`begins "${'?€'.repeat(100)}"`);
    expect(problem.length).toBeLessThan(700);
  });

  it('shows of a body that stalls what has come', async () => {
    const port = await listening(
      createHttpServer((_request, response) => void response.writeHead(503).write('starting')),
    );
    expect(await problemOf(http(port), { trySeconds: 0.5 })).toContain(
      'it answered with HTTP status 503 Service Unavailable, not 200; its body begins "starting".',
    );
  });
});

describe('a probe with a text', () => {
  const answering = (body: string | Buffer) =>
    listening(createHttpServer((_request, response) => response.end(body)));

  it('is answered by a body with the text, also at the end of what is read and in other letters', async () => {
    const port = await answering(`${'x'.repeat(65_536 - 6)}geöff|net`);
    await probing({ ...http(port, { contains: 'geöf' }), timeout: 5 });
    await expect(probing({ ...http(port, { contains: 'öffn' }), timeout: 0.02 })).rejects.toThrow(
      'without the text "öffn" in the first 65536 bytes of its body',
    );
  });

  it('does not wait for the end of a body that has it', async () => {
    const port = await listening(createHttpServer((_request, response) => void response.write('{"up":true')));
    const { seconds } = await probing({ ...http(port, { contains: '"up":true' }), timeout: 10 });
    expect(seconds).toBeLessThan(4);
  });

  it('tells what the body is instead', async () => {
    const port = await answering('{"db":"down"}');
    expect(await problemOf(http(port, { contains: '"db":"up"' }))).toBe(
      `GET http://127.0.0.1:${port}/: it answered with HTTP status 200 OK, without the text ""db":"up"" in its body; ` +
        'its body begins "{"db":"down"}".',
    );
  });

  it('wants the status, too', async () => {
    const port = await listening(createHttpServer((_request, response) => response.writeHead(500).end('up')));
    expect(await problemOf(http(port, { contains: 'up' }))).toContain('HTTP status 500');
  });
});

describe('a probe over TLS', () => {
  it('shows the name of the host, and wants a certificate for it from an authority that is trusted', async () => {
    const names: (string | undefined)[] = [];
    const server = createHttpsServer(tls(shop), byName);
    server.on('secureConnection', ({ servername }: { servername?: string }) => names.push(servername));
    const port = await listening(server);
    const probe = { ...https(port, { host: 'www.shop.example', contains: 'open' }), timeout: 5 };
    await probing(probe, { authorities: [pem(shop)] });
    expect(names).toEqual(['www.shop.example']);
  });

  it('tells whose certificate it is that is for another name', async () => {
    const port = await listening(createHttpsServer(tls(other), byName));
    expect(await problemOf(https(port, { host: 'www.shop.example' }), { authorities: [pem(other)] })).toMatch(
      new RegExp(
        `^GET https://127\\.0\\.0\\.1:${port}/ \\(Host: www\\.shop\\.example; TLS server name: www\\.shop\\.example\\): ` +
          'its certificate is not good: it is not for www\\.shop\\.example\\. ' +
          'It is for "other" \\(127\\.0\\.0\\.1, other\\.example\\), issued by "other", valid from .+ to .+ GMT\\.$',
      ),
    );
  });

  it("trusts what Node and the host trust, which a stranger's certificate is not of", async () => {
    const port = await listening(createHttpsServer(tls(shop), byName));
    expect(await problemOf(https(port, { host: 'www.shop.example' }))).toMatch(
      /its issuer is not trusted; add it .*"verify: false" \(DEPTH_ZERO_SELF_SIGNED_CERT\)\. It is for "shop" \(www\.shop\.example, shop\.example\)/,
    );
  });

  it('takes any certificate where that is wanted, and TLS as old guests speak it', async () => {
    const old = { minVersion: 'TLSv1', maxVersion: 'TLSv1', ciphers: 'DEFAULT@SECLEVEL=0' } as const;
    for (const more of [{}, old]) {
      const port = await listening(createHttpsServer(tls(other, more), byName));
      await probing({ ...https(port, { host: 'www.shop.example', verify: false }), timeout: 5 });
      expect(await problemOf(https(port, { verify: false }))).toContain(
        `GET https://127.0.0.1:${port}/ (no TLS server name; any certificate): it answered with HTTP status 400`,
      );
    }
  });

  it('goes through the relay of a segment', async () => {
    const port = await listening(createHttpsServer(tls(shop), byName));
    const relay = createHttpServer().on('connect', (_request, socket: Socket, head) => {
      const guest = connect(port, '127.0.0.1', () => {
        socket.write('HTTP/1.1 200 Connection established\r\n\r\n');
        guest.write(head);
        guest.pipe(socket).pipe(guest);
      });
      guest.on('error', () => socket.destroy());
    });
    const socketPath = join(directory, 'relay.sock');
    await new Promise<void>((resolve) => void relay.listen(socketPath, resolve));
    servers.push(relay);
    await probing(
      { ...https(443, { host: 'www.shop.example', contains: 'open' }), timeout: 5 },
      {
        address: '10.0.1.7',
        dial: dialer([{ cidr: '10.0.1.0/24', socketPath }]),
        authorities: [pem(shop)],
      },
    );
  });

  it('may verify an address', async () => {
    const port = await listening(createHttpsServer(tls(other), (_request, response) => response.end()));
    await probing({ ...https(port, { host: '127.0.0.1' }), timeout: 5 }, { authorities: [pem(other)] });
  });

  it('says so where no TLS is spoken, or none of ours', async () => {
    const plain = await listening(createHttpServer(byName));
    expect(await problemOf(https(plain, { verify: false }))).toMatch(
      /the TLS handshake failed: .*; what listens there may speak no TLS\.$/,
    );
    const old = { maxVersion: 'TLSv1', minVersion: 'TLSv1', ciphers: 'DEFAULT@SECLEVEL=0' } as const;
    const outdated = await listening(createHttpsServer(tls(shop, old), byName));
    expect(await problemOf(https(outdated, { host: 'www.shop.example' }))).toContain(
      'the TLS handshake failed: ',
    );
    const shut = await listening(createServer((socket) => void socket.once('data', () => socket.destroy())));
    expect(await problemOf(https(shut, { verify: false }))).toMatch(/: .*(closed|disconnected|ECONNRESET)/);
  });

  it('ends the try where the handshake does not', async () => {
    const silent = await listening(createServer(() => undefined));
    expect(await problemOf(https(silent, { verify: false }), { trySeconds: 0.5 })).toContain(
      'no answer to the TLS handshake within 0.5 seconds.',
    );
  });
});

describe('several probes', () => {
  it('are answered when all are', async () => {
    const [first, second] = [await listening(createServer()), await listening(createHttpServer(byName))];
    const web = (host: string) => http(second, { host });
    await probing({ all: [{ tcp: first }, web('www.shop.example')], timeout: 5 });
    expect(await problemOf({ all: [{ tcp: first }, web('a.example'), web('b.example')] })).toMatch(
      /^Of its 3 probes 2 failed\. GET .*\(Host: a\.example\): it answered .*\. GET .*\(Host: b\.example\): it answered .*\.$/,
    );
  });
});
