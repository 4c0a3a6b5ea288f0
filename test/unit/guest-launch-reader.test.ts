import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { type RequestListener, type Server } from 'node:http';
import { type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { launchData, placeholderAddress, PLACEHOLDER_RUN_ID } from '../../guest/launch-data';
import { blockOf } from '../../guest/linux/changes/marked-text';
import { bootEnvironment, environmentPath } from '../../guest/linux/stay/boot-scripts';
import { hostsForPrimarySite, hostsForRecoverySite } from '../../guest/linux/stay/hosts';
import { type HttpProgram } from '../../guest/linux/stay/http-program';
import { LAUNCH_DIRECTORY } from '../../guest/linux/stay/launch';
import { launchReader } from '../../guest/linux/stay/launch-reader';
import { tokenSigner } from '../../sandbox/aws/ebs/read-tokens';
import { createMetadataServer, type InstanceMetadata } from '../../sandbox/aws/metadata/server';
import { hostileUserData, USER_DATA } from '../support/hostile-user-data';
import { whileServing } from '../support/while-serving';

/** The reader as a shell runs it, against the sandbox's metadata service, with a directory as the guest's root. */

const PROGRAMS: HttpProgram[] = [
  { name: 'curl', path: 'curl' },
  { name: 'bash', path: 'bash' },
  { name: 'python3', path: 'python3' },
  { name: 'perl', path: 'perl' },
];
const CURL = PROGRAMS[0]!;
const HOME = '127.0.0.1 localhost\n192.168.10.30 db cache # the database\n';
const HOSTS = [
  { address: placeholderAddress(0), names: ['db', 'db.shop.example'] },
  { address: placeholderAddress(10), names: ['queue'] },
  { address: '10.0.1.77', names: ['fixed'] },
];
const RUN = 'lifeboat: launch data of run shop-7 read';

let directory: string;
let server: Server;
let imds: string;
let instance: InstanceMetadata | undefined;
const asked: string[] = [];

beforeAll(async () => {
  server = createMetadataServer(() => instance, tokenSigner('test'));
  server.prependListener('request', ({ method, url }: { method: string; url: string }) =>
    asked.push(`${method} ${url}`),
  );
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  imds = `127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterAll(() => {
  server.closeAllConnections();
  return new Promise((resolve) => server.close(resolve));
});

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'lifeboat-launch-'));
  const environment = bootEnvironment(PLACEHOLDER_RUN_ID, HOSTS);
  const hosts = hostsForRecoverySite(HOME, HOSTS);
  put('etc/hosts', hosts);
  put(environmentPath(PLACEHOLDER_RUN_ID), environment);
  put(`${LAUNCH_DIRECTORY}/environment`, environment);
  put(`${LAUNCH_DIRECTORY}/hosts`, (blockOf(hosts) ?? []).map((line) => `${line}\n`).join(''));
  put('sys/class/net/eth0/device', '');
  put('proc/net/route', 'Iface\tDestination\neth0\t00000000\n');
  tell(USER_DATA);
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

const at = (path: string): string => join(directory, path);
const get = (path: string): string => readFileSync(at(path), 'latin1');
function put(path: string, content: string | Uint8Array): void {
  mkdirSync(dirname(at(path)), { recursive: true });
  writeFileSync(at(path), content);
}
function tell(
  userData: string | Uint8Array | undefined,
  options: Partial<InstanceMetadata['options']> = {},
): void {
  asked.length = 0;
  instance = {
    instanceId: 'i-1',
    options: { enabled: true, tokens: 'required', ...options },
    userData: userData === undefined ? undefined : Buffer.from(userData),
    values: {},
  };
}

/** What the guest's files that are written have. */
const state = (): string[] => ['etc/hosts', environmentPath(PLACEHOLDER_RUN_ID)].map(get);

async function read(
  program = CURL,
  shell = 'sh',
  environment: Record<string, string> = {},
): Promise<{ code: number; console: string }> {
  const script = at('reader');
  writeFileSync(
    script,
    launchReader({ directory: LAUNCH_DIRECTORY, environment: environmentPath(PLACEHOLDER_RUN_ID) }, program),
  );
  return new Promise((resolve) => {
    const env = {
      PATH: process.env.PATH,
      LIFEBOAT_ROOT: directory,
      LIFEBOAT_IMDS: imds,
      // A busy machine must not end a test's wait that is to succeed.
      LIFEBOAT_WAIT: '60',
      http_proxy: 'http://127.0.0.1:1',
      ...environment,
    };
    execFile(shell, [script], { env }, (error, stdout, stderr) =>
      resolve({ code: error === null ? 0 : Number(error.code), console: `${stdout}${stderr}`.trim() }),
    );
  });
}

describe.each(PROGRAMS)('a launch copy that asks by $name', (program) => {
  it('puts the addresses and the run into the places of the placeholders', async () => {
    expect(await read(program)).toEqual({ code: 0, console: RUN });
    expect([asked[0], asked.at(-1)]).toEqual(['PUT /latest/api/token', 'GET /latest/user-data']);
    expect(get('etc/hosts')).toMatch(
      /\n# lifeboat aside: 192.168.10.30 db cache # the database\n# BEGIN lifeboat.*\n10.0.1.30 db db.shop.example cache\n2001:db8::5 queue\n10.0.1.77 fixed\n# END lifeboat\n$/,
    );
    expect(hostsForPrimarySite(get('etc/hosts'))).toBe(HOME);
    expect(get(environmentPath(PLACEHOLDER_RUN_ID)).split('\n')).toEqual([
      'export LIFEBOAT_RUN_ID=shop-7',
      'export LIFEBOAT_ADDRESS_DB=10.0.1.30',
      'export LIFEBOAT_ADDRESS_DB_SHOP_EXAMPLE=10.0.1.30',
      'export LIFEBOAT_ADDRESS_QUEUE=2001:db8::5',
      'export LIFEBOAT_ADDRESS_FIXED=10.0.1.77',
      '',
    ]);
    expect(readdirSync(at('etc'))).toEqual(['hosts']);
    expect(readdirSync(at(LAUNCH_DIRECTORY)).sort()).toEqual(['applied', 'environment', 'hosts']);
    expect(readdirSync(at('run'))).toEqual([]);
  });

  it('takes nothing where there is no user data', async () => {
    tell(undefined);
    const before = state();
    const { code, console } = await read(program);
    expect(console).toMatch(/was not read: the metadata service gave no user data \(status 404\)\. Names/);
    expect(code).toBe(1);
    expect(state()).toEqual(before);
  });

  it('asks again where an answer was cut off, the service failed, or the token was none any more', async () => {
    let requests = 0;
    const late: RequestListener = (request, response) => {
      requests += 1;
      const cut = (text: string): unknown =>
        response.writeHead(200, { 'content-length': text.length + 1 }).write(text, () => response.destroy());
      if (requests === 1) return request.socket.destroy();
      if (requests === 2) return response.writeHead(503).end();
      if (requests === 3) return cut('half-of-a-token');
      // A token, and then less than the user data.
      if (requests === 5) return cut(USER_DATA.toString().split('\n').slice(0, 2).join('\n'));
      if (requests === 7) return response.writeHead(401).end();
      server.emit('request', request, response);
    };
    await whileServing(late, async (address) => {
      expect(await read(program, 'sh', { LIFEBOAT_IMDS: address })).toEqual({ code: 0, console: RUN });
    });
    expect(requests).toBe(9);
  });

  it('gives up in time where nothing answers', async () => {
    const { code, console } = await read(program, 'sh', { LIFEBOAT_IMDS: '127.0.0.1:1', LIFEBOAT_WAIT: '0' });
    expect(console).toContain('the metadata service gave no token (status 0)');
    expect(code).toBe(1);
  });
});

describe('the launch data of later boots', () => {
  it('changes nothing where it is the same, not even what a person wrote', async () => {
    await read();
    put('etc/hosts', get('etc/hosts').replace('10.0.1.77 fixed', '10.0.1.78 fixed'));
    const before = state();
    const written = statSync(at('etc/hosts')).ino;
    expect(await read()).toEqual({ code: 0, console: `${RUN}, nothing has changed` });
    expect(state()).toEqual(before);
    expect(statSync(at('etc/hosts')).ino).toBe(written);
  });

  it('takes the place of what was told before', async () => {
    await read();
    tell(USER_DATA.replace('shop-7', 'shop-8').replace('10.0.1.30', '10.0.1.31'));
    expect((await read()).console).toBe('lifeboat: launch data of run shop-8 read');
    expect(get('etc/hosts')).toContain('\n10.0.1.31 db db.shop.example cache\n');
    expect(get(environmentPath(PLACEHOLDER_RUN_ID))).toMatch(/RUN_ID=shop-8\n.*DB=10.0.1.31\n/);
  });

  it.each<[string, () => void, Record<string, string>]>([
    ['the service is away', () => {}, { LIFEBOAT_IMDS: '127.0.0.1:1', LIFEBOAT_WAIT: '0' }],
    ['there is no address', () => put('proc/net/route', 'Iface\n'), { LIFEBOAT_WAIT: '0' }],
    ['the service is switched off', () => tell(USER_DATA, { enabled: false }), {}],
    ['it is none of ours', () => tell('#!/bin/sh\nreboot\n'), {}],
  ])('leaves what there is where %s', async (_, happen, environment) => {
    await read();
    const before = state();
    happen();
    const { code, console } = await read(CURL, 'sh', environment);
    expect(console).toMatch(/^lifeboat: launch data was not read: .*\. What run shop-7 told stays$/);
    expect(code).toBe(0);
    expect(state()).toEqual(before);
  });

  it('is written whole after a boot that was cut off', async () => {
    // Between the two files: /etc/hosts is there, the rest is not.
    await read();
    const whole = state();
    rmSync(at(`${LAUNCH_DIRECTORY}/applied`));
    put(environmentPath(PLACEHOLDER_RUN_ID), get(`${LAUNCH_DIRECTORY}/environment`));
    put('etc/hosts.lifeboat', 'half');
    expect(await read()).toEqual({ code: 0, console: RUN });
    expect(state()).toEqual(whole);
    expect(readdirSync(at('etc'))).toEqual(['hosts']);
  });

  it('leaves an /etc/hosts alone that has no block any more', async () => {
    put('etc/hosts', HOME);
    expect((await read()).console).toBe(
      `lifeboat: /etc/hosts has no block of Lifeboat's any more and is left alone\n${RUN}`,
    );
    expect(get('etc/hosts')).toBe(HOME);
  });
});

describe('user data that is not what a launch tells', () => {
  it.each(hostileUserData())('is refused whole: %s', async (_, data, told) => {
    tell(data);
    const before = state();
    // bash for sh now and then: what is no file name or number to one must be none to the other.
    const { code, console } = await read(CURL, data.length % 2 === 0 ? 'sh' : 'bash');
    expect(console).toMatch(told);
    expect(console).toMatch(/^lifeboat: launch data was not read: [^\n]*$/);
    expect(code).toBe(1);
    expect(state()).toEqual(before);
    expect(readdirSync(at(LAUNCH_DIRECTORY)).sort()).toEqual(['environment', 'hosts']);
  });
});

describe('what makes the launch data', () => {
  const one = { placeholder: placeholderAddress(0), address: '10.0.1.30' };

  it('numbers placeholders through the whole range', () => {
    expect([0, 254, 255, 65_534, 65_535, 131_070].map(placeholderAddress)).toEqual([
      '198.18.0.1',
      '198.18.0.255',
      '198.18.1.0',
      '198.18.255.255',
      '198.19.0.0',
      '198.19.255.255',
    ]);
    expect(() => placeholderAddress(131_071)).toThrow('There is no placeholder');
    expect(() => placeholderAddress(-1)).toThrow('There is no placeholder');
  });

  it.each([
    [{ runId: 'a b', addresses: [] }, 'is no run id'],
    [{ runId: 'a\nrun b', addresses: [] }, 'is no run id'],
    [{ runId: 'a', addresses: [{ ...one, placeholder: '10.0.0.1' }] }, 'is no placeholder'],
    [{ runId: 'a', addresses: [{ ...one, address: '198.19.0.1' }] }, 'is no address'],
    [{ runId: 'a', addresses: [{ ...one, address: 'fe80::1%eth0' }] }, 'is no address'],
    [{ runId: 'a', addresses: [one, one] }, 'has two addresses'],
  ])('refuses %j', (data, told) => {
    expect(() => launchData(data)).toThrow(told);
  });

  it('says when it is too long for user data', () => {
    const addresses = Array.from({ length: 800 }, (_, index) => ({
      placeholder: placeholderAddress(index),
      address: '10.0.0.1',
    }));
    expect(() => launchData({ runId: 'a', addresses })).toThrow(/16384/);
  });
});
