import { X509Certificate } from 'node:crypto';
import { type ServerResponse } from 'node:http';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { VimClient, type VimSettings } from '../../hypervisor/vsphere/vim/client';
import { managed } from '../../hypervisor/vsphere/vim/codec';
import { VimAnswerError, VimConnectionError } from '../../hypervisor/vsphere/vim/errors';
import { VimTrustError } from '../../hypervisor/vsphere/vim/trust';
import { failure } from '../support/failure';
import { answered, type Certificate, faulted, makeCertificate, ScriptedVcenter, soap } from './vim-server';

const PASSWORD = 'correct horse & <battery>';
const instance = managed('ServiceInstance', 'ServiceInstance');
const lost = faulted('NotAuthenticated', 'The session is not authenticated.');
const now = answered('CurrentTime', '<returnval>2026-11-29T10:00:00.123456Z</returnval>');

const directory = mkdtempSync(join(tmpdir(), 'lifeboat-vim-'));
const right = makeCertificate(directory, 'right', 'IP:127.0.0.1');
const misnamed = makeCertificate(directory, 'misnamed', 'DNS:vcenter.example');
const vcenter = new ScriptedVcenter(right);
const elsewhere = new ScriptedVcenter(misnamed);
const clients: VimClient[] = [];
let url: string;
let elsewhereUrl: string;

const fingerprints = ({ certificate }: Certificate) => new X509Certificate(readFileSync(certificate));

function client(settings: Partial<VimSettings> = {}): VimClient {
  const made = new VimClient({
    url,
    trust: { ca: right.certificate },
    credentials: () => Promise.resolve({ user: 'u', password: PASSWORD }),
    ...settings,
  });
  clients.push(made);
  return made;
}

beforeAll(async () => {
  url = await vcenter.start();
  elsewhereUrl = await elsewhere.start();
});
beforeEach(() => {
  vcenter.reset();
  elsewhere.reset();
  vcenter.replies.set('CurrentTime', [now]);
});
afterEach(async () => {
  vcenter.replies.set('Logout', [answered('Logout')]);
  await Promise.all(clients.splice(0).map((one) => one.close()));
});
afterAll(async () => {
  await vcenter.stop();
  await elsewhere.stop();
  rmSync(directory, { recursive: true });
});

describe('a session', () => {
  it('is shared by calls that are made at once, and kept', async () => {
    const vim = client();
    const times = await Promise.all([1, 2, 3].map(() => vim.call('CurrentTime', instance)));
    expect(times).toEqual(times.map(() => new Date('2026-11-29T10:00:00.123Z')));
    await vim.call('CurrentTime', instance);
    expect(vcenter.methods.filter((method) => method === 'Login')).toHaveLength(1);
    expect(new Set(vcenter.calls.slice(2).map(({ cookie }) => cookie)).size).toBe(1);
    expect(vcenter.calls[2]?.cookie).toMatch(/^vmware_soap_session="s\d+"$/);
    expect(vcenter.calls[2]?.request.headers.soapaction).toBe('"urn:vim25/7.0.0.0"');
  });

  it('is opened again once where it has ended, for all that find it so', async () => {
    const vim = client();
    await vim.content();
    vcenter.replies.set('CurrentTime', [lost, lost, now]);
    await Promise.all([vim.call('CurrentTime', instance), vim.call('CurrentTime', instance)]);
    expect(vcenter.methods.filter((method) => method === 'Login')).toHaveLength(2);
  });

  it('that ends again at once is an error, and no loop', async () => {
    vcenter.replies.set('CurrentTime', [lost]);
    expect(await failure(client().call('CurrentTime', instance))).toMatchObject({ type: 'NotAuthenticated' });
    expect(vcenter.methods.filter((method) => method === 'Login')).toHaveLength(2);
    expect(vcenter.methods.filter((method) => method === 'CurrentTime')).toHaveLength(2);
  });

  it('is not asked for again and again with what was refused', async () => {
    let password = 'wrong';
    const vim = client({ credentials: () => Promise.resolve({ user: 'u', password }) });
    const [login] = vcenter.replies.get('Login')!;
    vcenter.replies.set('Login', [faulted('InvalidLogin', 'Cannot complete login.'), login!]);
    for (let attempt = 0; attempt < 3; attempt++)
      expect(await failure(vim.content())).toMatchObject({ type: 'InvalidLogin', method: 'Login' });
    expect(vcenter.methods.filter((method) => method === 'Login')).toHaveLength(1);
    password = PASSWORD;
    expect((await vim.content()).about.apiVersion).toBe('8.0.3.0');
  });

  it('that could not be opened for another reason is asked for again', async () => {
    const vim = client();
    vcenter.replies.get('RetrieveServiceContent')!.unshift((_call, response) => void response.destroy());
    expect(await failure(vim.content())).toBeInstanceOf(VimConnectionError);
    await vim.content();
  });

  it('is ended by close()', async () => {
    const vim = client();
    await vim.content();
    await vim.close();
    expect(vcenter.methods.at(-1)).toBe('Logout');
    vcenter.reset();
    await client().close();
    expect(vcenter.methods).toEqual([]);
  });

  it('is closed where the server has gone, too', async () => {
    const vim = client();
    await vim.content();
    vcenter.replies.set('Logout', [(_call, response) => void response.destroy()]);
    await vim.close();
    expect(vcenter.methods.at(-1)).toBe('Logout');
  });
});

describe('trust', () => {
  const none = { user: 'u', password: PASSWORD };

  it('by the thumbprint of the certificate, of either kind and in either case', async () => {
    const { fingerprint, fingerprint256 } = fingerprints(misnamed);
    for (const thumbprint of [fingerprint256, fingerprint, fingerprint256.replaceAll(':', '').toLowerCase()])
      await client({ url: elsewhereUrl, trust: { thumbprint } }).content();
  });

  it('refuses another certificate, tells its thumbprint, and has sent nothing', async () => {
    const { fingerprint256, fingerprint } = fingerprints(right);
    for (const thumbprint of [fingerprint256, fingerprint]) {
      const error = await failure(client({ url: elsewhereUrl, trust: { thumbprint } }).content());
      expect(error).toBeInstanceOf(VimTrustError);
      expect(error).toMatchObject({ seen: fingerprints(misnamed).fingerprint256 });
      expect(error.message).toContain(
        fingerprints(misnamed)[thumbprint === fingerprint256 ? 'fingerprint256' : 'fingerprint'],
      );
    }
    expect(elsewhere.calls).toEqual([]);
  });

  it.each([
    ['of another CA', () => ({ ca: right.certificate })],
    ['of another name', () => ({ ca: misnamed.certificate })],
    ["that the system's CAs have not signed", () => ({ system: true as const })],
  ])('refuses a certificate %s', async (_, trust) => {
    const error = await failure(client({ url: elsewhereUrl, trust: trust() }).content());
    expect(error).toBeInstanceOf(VimTrustError);
    expect(error.message).toMatch(/Set vCenter's CA certificate, or its thumbprint\.$/);
    expect(elsewhere.calls).toEqual([]);
  });

  it.each([
    [{ url: 'http://127.0.0.1/sdk' }, 'https: only'],
    [{ url: 'https://u:p@127.0.0.1/' }, 'no user and password'],
    [{ trust: { thumbprint: 'AB:CD' } }, '64 or 40 hex digits'],
    [{ trust: { ca: '/nowhere/ca.pem' } }, 'ENOENT'],
  ])('cannot be set to %j', (settings, message) => {
    const credentials = () => Promise.resolve(none);
    expect(() => new VimClient({ url, trust: { system: true }, credentials, ...settings })).toThrow(message);
  });
});

describe('an answer that is none of vCenter', () => {
  const plain = (status: number, text: string) => [
    (_: unknown, response: ServerResponse) => void response.writeHead(status).end(text),
  ];

  it.each([
    ['a page of a proxy', 200, '<html><body><h1>Please log in</h1></body></html>', /HTTP 200.*Please log in/],
    [
      'a page with a document type',
      502,
      '<!DOCTYPE html><html><p>Bad gateway</html>',
      /HTTP 502.*Bad gateway/,
    ],
    ['text while vCenter starts', 503, 'Service Unavailable', /HTTP 503.*starting.*Service Unavailable/],
    ['a redirection', 302, '', /HTTP 302.*address lead to a vCenter/],
    ['nothing', 200, '', /HTTP 200/],
    ['an answer to something else', 200, answered('Logout'), /neither an answer to the call nor a fault/],
    ['XML that ends early', 200, now.slice(0, -30), /not well-formed/],
    ['elements without an end', 200, soap('<a>'.repeat(100_000)), /more than 100 levels/],
    ['levels without an end', 200, soap('<a>'.repeat(200) + '</a>'.repeat(200)), /more than 100 levels/],
    ['elements in great number', 200, soap('<a/>'.repeat(550_000)), /more than 500000 elements/],
    ['a date that is none', 200, answered('CurrentTime', '<returnval>soon</returnval>'), /is no dateTime/],
  ])('is told: %s', async (_, status, text, message) => {
    vcenter.replies.set('CurrentTime', plain(status, text));
    const error = await failure(client().call('CurrentTime', instance));
    expect(error).toBeInstanceOf(VimAnswerError);
    expect(error.message).toMatch(message);
  });

  it('is refused where it declares entities, whatever they are', async () => {
    const bomb = `<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b "cccccccccc"><!ENTITY d "&b;&b;&b;&b;&b;&b;">]>${now.slice(now.indexOf('<soapenv'))}`;
    vcenter.replies.set('CurrentTime', [bomb]);
    expect((await failure(client().call('CurrentTime', instance))).message).toContain('document type');
  });

  it('is refused where it is too long, before all of it is in memory', async () => {
    let sent = 0;
    vcenter.replies.set('CurrentTime', [
      (_call, response) => {
        const chunk = Buffer.alloc(1024 * 1024, 0x20);
        const more = () => {
          while (!response.destroyed && response.write(chunk)) sent++;
        };
        response.on('drain', more);
        more();
      },
    ]);
    const error = await failure(client().call('CurrentTime', instance));
    expect(error).toBeInstanceOf(VimAnswerError);
    expect(error.message).toContain('more than 33554432 bytes');
    expect(sent).toBeLessThan(256);
  });

  it('is a lost connection where it stops in the middle', async () => {
    vcenter.replies.set('CurrentTime', [
      (_call, response) => {
        response.writeHead(200, { 'content-length': now.length });
        response.write(now.slice(0, 100), () => response.destroy());
      },
    ]);
    expect(await failure(client().call('CurrentTime', instance))).toBeInstanceOf(VimConnectionError);
  });

  it('never brings the password into an error', async () => {
    const echo = (call: { body: string }, response: ServerResponse) =>
      void response.writeHead(400).end(call.body);
    vcenter.replies.set('Login', [echo]);
    const error = await failure(client().content());
    expect(error).toBeInstanceOf(VimAnswerError);
    expect(error.message).toContain('Login');
    for (const word of ['horse', 'battery']) expect(`${error.message} ${error.stack}`).not.toContain(word);
  });
});

it('a server that is not there is told', async () => {
  const closed = new ScriptedVcenter(right);
  const gone = await closed.start();
  await closed.stop();
  const error = await failure(client({ url: gone }).content());
  expect(error).toBeInstanceOf(VimConnectionError);
  expect(error.message).toContain('ECONNREFUSED');
});
