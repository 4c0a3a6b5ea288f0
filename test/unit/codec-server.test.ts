import { request as httpsRequest } from 'node:https';
import { chmodSync, readFileSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { defaultPayloadConverter, type Payload } from '@temporalio/common';
import { runCli } from '../../cli/program';
import { startCodecServer } from '../../wire/codec-server';
import { codecsOf } from '../../wire/data-converter';
import { payloadsOf, textOfPayloads } from '../../wire/payload-json';
import { isTokenOf } from '../../wire/tokens';
import { Certificates } from '../support/certificates';
import { KeyFile, newKey } from '../support/codec-keys';
import { testIo } from './cli-io';

const UI = 'https://temporal.example';
const TOKEN = 'a-token-of-sixteen-and-more';
const PLAN = { plan: 'shop', address: '10.0.1.20' };

describe('lifeboat codec', () => {
  let keys: KeyFile;
  let tokens: string;
  let server: Awaited<ReturnType<typeof startCodecServer>>;

  beforeAll(async () => {
    keys = new KeyFile().write('k1', { k1: newKey() });
    tokens = `${keys.file}.tokens`;
    writeFileSync(tokens, `the-token-of-before-this\n${TOKEN}\n`, { mode: 0o600 });
    server = await startCodecServer({
      ...{ host: '127.0.0.1', port: 0, origins: [UI], namespace: 'prod' },
      accepts: (token) => isTokenOf(tokens, token),
      codecOf: codecsOf(keys.file),
    });
  });
  afterAll(async () => {
    await server.close();
    keys.remove();
  });

  const ask = (
    path: string,
    {
      body,
      headers = {},
      method = 'POST',
    }: { body?: unknown; headers?: Record<string, string>; method?: string } = {},
  ): Promise<Response> =>
    fetch(`${server.url}${path}`, {
      method,
      headers: { authorization: `Bearer ${TOKEN}`, 'content-type': 'application/json', ...headers },
      ...(method === 'POST' ? { body: typeof body === 'string' ? body : JSON.stringify(body) } : {}),
    });
  const plain = () => textOfPayloads([defaultPayloadConverter.toPayload(PLAN)]);
  const read = (body: unknown): unknown =>
    defaultPayloadConverter.fromPayload(payloadsOf(body)?.[0] as Payload);

  it('encrypts and decrypts, of the namespace that the request names', async () => {
    for (const headers of [{ 'x-namespace': 'test' }, {}] as Record<string, string>[]) {
      const encrypted = (await (await ask('/encode', { body: plain(), headers })).json()) as object;
      expect(JSON.stringify(encrypted)).not.toContain(Buffer.from('shop').toString('base64').slice(0, 4));
      const back = await ask('/decode', { body: encrypted, headers });
      expect([back.status, back.headers.get('cache-control')]).toEqual([200, 'no-store']);
      expect(read(await back.json())).toEqual(PLAN);
      const elsewhere = await ask('/decode', { body: encrypted, headers: { 'x-namespace': 'elsewhere' } });
      expect([elsewhere.status, await elsewhere.json()]).toEqual([
        400,
        { error: expect.stringMatching(/another namespace than elsewhere/) },
      ]);
    }
  });

  it('lets the page of the Web UI ask, and no other', async () => {
    const preflight = (origin: string) =>
      ask('/decode', {
        method: 'OPTIONS',
        headers: {
          origin,
          'access-control-request-method': 'POST',
          'access-control-request-private-network': 'true',
        },
      });
    const ours = await preflight(UI);
    expect([ours.status, ours.headers.get('access-control-allow-origin'), ours.headers.get('vary')]).toEqual([
      204,
      UI,
      'origin',
    ]);
    expect(ours.headers.get('access-control-allow-headers')).toContain('authorization');
    expect(ours.headers.get('access-control-allow-private-network')).toBe('true');
    for (const origin of ['https://evil.example', `${UI}.evil.example`, 'null', 'http://temporal.example']) {
      const other = await preflight(origin);
      expect([other.status, other.headers.get('access-control-allow-origin')]).toEqual([403, null]);
      expect((await ask('/decode', { body: plain(), headers: { origin } })).status).toBe(403);
    }
    const answered = await ask('/decode', { body: plain(), headers: { origin: UI } });
    expect([answered.status, answered.headers.get('access-control-allow-origin')]).toEqual([200, UI]);
    // So that a page can read why.
    const refused = await ask('/decode', { body: plain(), headers: { origin: UI, authorization: '' } });
    expect([refused.status, refused.headers.get('access-control-allow-origin')]).toEqual([401, UI]);
  });

  it.each(['', 'Bearer', 'Bearer wrong', `Basic ${TOKEN}`, `Bearer ${TOKEN}x`, `Bearer ${TOKEN.slice(1)}`])(
    'lets nobody in with "%s"',
    async (authorization) => {
      expect((await ask('/decode', { body: plain(), headers: { authorization } })).status).toBe(401);
    },
  );

  it('takes a token that was added, and none that was removed', async () => {
    const next = 'the-next-token-of-the-file';
    const status = async (): Promise<number> =>
      (await ask('/decode', { body: plain(), headers: { authorization: `Bearer ${next}` } })).status;
    expect(await status()).toBe(401);
    writeFileSync(tokens, `${TOKEN}\n${next}\n`);
    expect(await status()).toBe(200);
    writeFileSync(tokens, `${TOKEN}\n`);
    expect(await status()).toBe(401);
  });

  it.each<[string, unknown]>([
    ['no JSON', '{"payloads":'],
    ['no object', '[]'],
    ['null', 'null'],
    ['no payloads', '{}'],
    ['payloads that are no list', '{"payloads":{"length":1}}'],
    ['a payload that is none', '{"payloads":[null]}'],
    ['metadata that is a list', '{"payloads":[{"metadata":[]}]}'],
    ['metadata that is no text', '{"payloads":[{"metadata":{"encoding":1}}]}'],
    ['data that is no base64', '{"payloads":[{"data":"%%%"}]}'],
    [
      'a thousand entries of metadata',
      {
        payloads: [{ metadata: Object.fromEntries(Array.from({ length: 1000 }, (_, at) => [`k${at}`, ''])) }],
      },
    ],
    [
      'what was never encrypted here',
      {
        payloads: [
          { metadata: { encoding: Buffer.from('binary/encrypted').toString('base64') }, data: 'AAAA' },
        ],
      },
    ],
  ])('refuses %s', async (_what, body) => {
    const answer = await ask('/decode', { body });
    expect(answer.status).toBe(400);
    expect((await answer.json()) as object).toEqual({
      error: expect.stringMatching(/^(The body|A payload) /),
    });
  });

  it('is not led astray by names of JavaScript', async () => {
    const answer = await ask('/encode', {
      body: '{"payloads":[{"metadata":{"__proto__":"AAAA","constructor":"AAAA"},"data":"AAAA"}]}',
    });
    const [payload] = payloadsOf(await (await ask('/decode', { body: await answer.json() })).json()) ?? [];
    expect(Object.keys(payload?.metadata ?? {})).toEqual(expect.arrayContaining(['constructor']));
    expect(Object.getPrototypeOf({})).toBe(Object.prototype);
  });

  it('refuses what is too large, of another type, by another method or elsewhere', async () => {
    const huge = await ask('/decode', { body: `{"payloads":[{"data":"${'A'.repeat(9 * 1024 * 1024)}"}]}` });
    expect(huge.status).toBe(413);
    expect((await ask('/decode', { body: plain(), headers: { 'content-type': 'text/plain' } })).status).toBe(
      415,
    );
    expect((await ask('/decode', { method: 'GET' })).status).toBe(405);
    expect((await ask('/', { method: 'GET' })).status).toBe(404);
    expect((await ask('/decode/../../etc/passwd', { body: plain() })).status).toBe(404);
    expect(
      (await ask('/decode', { body: plain(), headers: { 'x-namespace': 'n'.repeat(300) } })).status,
    ).toBe(400);
    // It goes on.
    expect((await ask('/decode', { body: plain() })).status).toBe(200);
  });

  it('survives what is no HTTP', async () => {
    const socket = connect(Number(new URL(server.url).port), '127.0.0.1');
    await new Promise<void>((resolve) => {
      socket.once('close', () => resolve());
      socket.resume().once('error', () => undefined);
      socket.write('\x16\x03\x01garbage\r\n\r\n');
    });
    expect((await ask('/decode', { body: plain() })).status).toBe(200);
  });

  it('speaks TLS', async () => {
    const certificates = new Certificates();
    const { cert, key } = certificates.issue('codec', { by: 'our-ca', names: 'IP:127.0.0.1' });
    const secure = await startCodecServer({
      ...{ host: '127.0.0.1', port: 0, origins: [], namespace: 'prod', codecOf: codecsOf(keys.file) },
      tls: { cert: readFileSync(cert, 'utf8'), key: readFileSync(key, 'utf8') },
    });
    const status = await new Promise<number | undefined>((resolve, reject) => {
      const headers = { 'content-type': 'application/json' };
      httpsRequest(
        `${secure.url}/decode`,
        { method: 'POST', headers, ca: readFileSync(certificates.authority('our-ca')) },
        (response) => {
          response.resume();
          resolve(response.statusCode);
        },
      )
        .on('error', reject)
        .end(JSON.stringify(plain()));
    });
    expect([secure.url.startsWith('https://'), status]).toEqual([true, 200]);
    await secure.close();
    certificates.remove();
  });

  describe('as a command', () => {
    async function command(args: string[], env: NodeJS.ProcessEnv = keys.env): Promise<string> {
      const world = testIo(env, join(keys.file, '..'));
      expect(await runCli(['codec', ...args], world.io)).toBe(2);
      return world.err;
    }
    it.each<[string, string[], RegExp]>([
      ['no token', [], /--token-file FILE, or by --no-token/],
      [
        'no token elsewhere',
        ['--no-token', '--listen', '0.0.0.0:0', '--tls-cert', 'c', '--tls-key', 'k'],
        /c cannot be read/,
      ],
      [
        'another address in the clear',
        ['--token-file', 'x', '--listen', '0.0.0.0:8888'],
        /in the clear: give --tls-cert/,
      ],
      ['a name', ['--listen', 'localhost:8888'], /must be an IP address and a port/],
      [
        'a page for an origin',
        ['--origin', 'https://temporal.example/ui'],
        /must be the Web UI's scheme, host and port/,
      ],
      ['half of TLS', ['--token-file', 'x', '--tls-key', 'k'], /needed together/],
      [
        'a file of tokens that is not there',
        ['--token-file', '/nowhere/t'],
        /\/nowhere\/t, cannot be read \(ENOENT\)/,
      ],
    ])('refuses %s', async (_what, args, sentence) => {
      expect(await command(args)).toMatch(sentence);
    });
    it('refuses short tokens, and a file that everybody reads', async () => {
      const file = `${keys.file}.short`;
      writeFileSync(file, 'short\n', { mode: 0o600 });
      expect(await command(['--token-file', file])).toMatch(/of 16 characters or more/);
      chmodSync(file, 0o644);
      expect(await command(['--token-file', file])).toMatch(/chmod o-rwx/);
      expect(await command(['--no-token'], {})).toMatch(/LIFEBOAT_CODEC_KEYS is not set/);
    });
  });
});
