import { execFile } from 'node:child_process';
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { type RequestListener, type Server } from 'node:http';
import { type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readBootScriptStatuses } from '../../activities/boot-script-statuses';
import { type DeviceNames } from '../../guest/disk/device-names';
import { PLACEHOLDER_RUN_ID, placeholderAddress } from '../../guest/launch-data';
import { windowsFamily } from '../../guest/windows/windows-family';
import { tokenSigner } from '../../sandbox/aws/ebs/read-tokens';
import { createMetadataServer, type InstanceMetadata } from '../../sandbox/aws/metadata/server';
import { HostDirectoryFiles } from '../support/host-directory-files';
import { hostileUserData, USER_DATA } from '../support/hostile-user-data';
import { whileServing } from '../support/while-serving';
import { HOSTS, STATE, usual, writeTree } from './windows-fixture';

/**
 * What the scripts of Windows guests do, by its text, against the sandbox's metadata service: they are run by an interpreter of these tests
 * for their few constructs (test/support/powershell), as there is no PowerShell to be had. What that knows is what we know of PowerShell.
 */

const python = process.env.LIFEBOAT_PYTHON;
const RUN = `${STATE}/${PLACEHOLDER_RUN_ID}`;
const LAUNCH = `${RUN}/launch`;
const READ = 'lifeboat: launch data of run shop-7 read';

const directory = mkdtempSync(join(tmpdir(), 'lifeboat-test-windows-run-'));
const adapted = join(directory, 'adapted');
let guests = 0;
let root: string;
let server: Server;
let imds: string;
let instance: InstanceMetadata | undefined;

beforeAll(async () => {
  writeTree(adapted, { ...usual, [HOSTS]: '# hosts\r\n192.168.10.30 db cache\r\n' });
  const open = () => Promise.resolve(new HostDirectoryFiles(adapted));
  const family = (await windowsFamily(await open()))!;
  await family.adapt(
    { open, openReadOnly: open, names: undefined as unknown as DeviceNames },
    {
      ...{ diskPath: '', dataDisks: [], bootScripts: [], runId: PLACEHOLDER_RUN_ID, launchCopy: true },
      hosts: [
        { address: placeholderAddress(0), names: ['db', 'db.shop.example'] },
        { address: placeholderAddress(10), names: ['queue'] },
        { address: '10.0.1.77', names: ['fixed'] },
      ],
    },
  );
  server = createMetadataServer(() => instance, tokenSigner('test'));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  imds = `127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterAll(async () => {
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
  rmSync(directory, { recursive: true, force: true });
});
beforeEach(() => {
  root = join(directory, String(++guests));
  cpSync(adapted, root, { recursive: true });
  tell(USER_DATA);
});

const get = (path: string): string => readFileSync(join(root, path), 'latin1');
const put = (path: string, text: string): void => writeFileSync(join(root, path), text, 'latin1');
const state = (): string[] => [HOSTS, `${RUN}/environment`].map(get);
function tell(
  userData: string | Uint8Array | undefined,
  options: Partial<InstanceMetadata['options']> = {},
): void {
  instance = {
    instanceId: 'i-1',
    options: { enabled: true, tokens: 'required', ...options },
    userData: userData === undefined ? undefined : Buffer.from(userData),
    values: {},
  };
}

/** @param wait seconds for which a service that does not answer is asked again */
async function read(
  address = imds,
  wait = 600,
  path = `${LAUNCH}/Read-LaunchData.ps1`,
): Promise<{ code: number; console: string }> {
  const program = join(__dirname, '../support/powershell/run_script.py');
  const script = join(root, path);
  const system = join(root, 'WINDOWS');
  return new Promise((resolve, reject) => {
    execFile(
      python ?? '',
      [program, script, system, address, String(wait)],
      { env: { ...process.env, PYTHONDONTWRITEBYTECODE: '1' } },
      (error, stdout) =>
        error === null
          ? resolve(JSON.parse(stdout) as { code: number; console: string })
          : reject(error instanceof Error ? error : new Error(String(error))),
    );
  });
}

(python === undefined ? describe.skip : describe)('a launch copy of Windows', () => {
  it('puts the addresses and the run into the places of the placeholders, and keeps the attributes', async () => {
    chmodSync(join(root, HOSTS), 0o640);
    expect(await read()).toEqual({ code: 0, console: READ });
    expect(get(HOSTS)).toMatch(
      /^# hosts\r\n# lifeboat aside: 192.168.10.30 db cache\r\n# BEGIN lifeboat.*\r\n10.0.1.30 db db.shop.example cache\r\n2001:db8::5 queue\r\n10.0.1.77 fixed\r\n# END lifeboat\r\n$/,
    );
    expect(get(`${RUN}/environment`).split('\r\n')).toEqual([
      'LIFEBOAT_RUN_ID=shop-7',
      'LIFEBOAT_ADDRESS_DB=10.0.1.30',
      'LIFEBOAT_ADDRESS_DB_SHOP_EXAMPLE=10.0.1.30',
      'LIFEBOAT_ADDRESS_QUEUE=2001:db8::5',
      'LIFEBOAT_ADDRESS_FIXED=10.0.1.77',
      '',
    ]);
    expect(statSync(join(root, HOSTS)).mode & 0o777).toBe(0o640);
    expect(readdirSync(join(root, HOSTS, '..'))).toEqual(['hosts']);
    expect(readdirSync(join(root, LAUNCH)).sort()).toEqual([
      ...['Read-LaunchData.ps1', 'applied', 'environment', 'hosts'],
    ]);
  });

  it('takes nothing where there is no user data, and gives up in time where nothing answers', async () => {
    const before = state();
    tell(undefined);
    expect(await read()).toEqual({
      code: 1,
      console: expect.stringMatching(/gave no user data \(status 404\)\. Names of other/) as string,
    });
    expect(await read('127.0.0.1:1', 0)).toEqual({
      code: 1,
      console: expect.stringMatching(/gave no token \(status 0\)\. Names/) as string,
    });
    expect(state()).toEqual(before);
  });

  it('waits for a service that answers late, or with an error of its own', async () => {
    let asked = 0;
    const late: RequestListener = (request, response) => {
      asked += 1;
      if (asked === 1) return request.socket.destroy();
      if (asked === 2) return response.writeHead(503).end();
      // An answer that is cut off is none.
      if (asked === 3)
        return response.writeHead(200, { 'content-length': 56 }).write('half', () => response.destroy());
      // The token, and then that it has expired.
      if (asked === 5) return response.writeHead(401).end();
      server.emit('request', request, response);
    };
    await whileServing(late, async (address) => {
      expect(await read(address)).toEqual({ code: 0, console: READ });
    });
    expect(asked).toBe(7);
  });

  describe('at later starts', () => {
    it('changes nothing for the same data, not even what a person wrote', async () => {
      await read();
      put(HOSTS, get(HOSTS).replace('10.0.1.77 fixed', '10.0.1.78 fixed'));
      const before = state();
      expect(await read()).toEqual({ code: 0, console: `${READ}, nothing has changed` });
      expect(state()).toEqual(before);
    });

    it('takes other data', async () => {
      await read();
      tell(USER_DATA.replace('shop-7', 'shop-8').replace('10.0.1.30', '10.0.1.31'));
      expect((await read()).console).toBe('lifeboat: launch data of run shop-8 read');
      expect(get(HOSTS)).toContain('\r\n10.0.1.31 db db.shop.example cache\r\n');
      expect(get(`${RUN}/environment`)).toMatch(/RUN_ID=shop-8\r\n.*DB=10.0.1.31\r\n/);
    });

    it.each<[string, () => void, string?]>([
      ['the service is away', () => undefined, '127.0.0.1:1'],
      ['the service is switched off', () => tell(USER_DATA, { enabled: false })],
      ['it is none of ours', () => tell('<powershell>Restart-Computer</powershell>')],
    ])('leaves what there is where %s', async (_, happen, address = imds) => {
      await read();
      const before = state();
      happen();
      const { code, console } = await read(address, 0);
      expect(console).toMatch(
        /^lifeboat: launch data was not read: .*\. What an earlier start was told stays$/,
      );
      expect(code).toBe(0);
      expect(state()).toEqual(before);
    });

    it('is written whole after a start that was cut off between the files', async () => {
      await read();
      const whole = state();
      rmSync(join(root, LAUNCH, 'applied'));
      put(`${RUN}/environment`, get(`${LAUNCH}/environment`));
      put(`${HOSTS}.lifeboat`, 'half');
      expect(await read()).toEqual({ code: 0, console: READ });
      expect(state()).toEqual(whole);
    });
  });

  describe('runs its boot scripts', () => {
    const start = (address = imds) => read(address, 0, `${STATE}/Start-Lifeboat.ps1`);
    const hello = `${RUN}/scripts/00-hello.ps1`;
    beforeEach(() => {
      mkdirSync(join(root, hello, '..'));
      put(hello, 'Write-Output $env:LIFEBOAT_ADDRESS_DB\nexit 3\n');
      put(`${RUN}/scripts/01-second.ps1`, 'Write-Output second\n');
    });

    it('once, with what the launch told, and tells their statuses as those of its run', async () => {
      const { code, console } = await start();
      expect(code).toBe(0);
      expect(console.split('\r\n').filter((line) => line !== '')).toEqual([
        READ,
        'lifeboat: Windows has started, run shop-7',
        ...['begins', 'exit status 3'].map((what) => `lifeboat: boot script hello.ps1 of run shop-7 ${what}`),
        ...['begins', 'exit status 0'].map(
          (what) => `lifeboat: boot script second.ps1 of run shop-7 ${what}`,
        ),
      ]);
      expect(get(`${RUN}/00-hello.ps1.log`)).toBe('10.0.1.30\n');
      const statuses = readBootScriptStatuses(console, 'shop-7', ['hello.ps1', 'second.ps1']);
      expect([...statuses.values()]).toEqual([
        { begun: true, status: 3 },
        { begun: true, status: 0 },
      ]);
      const again = await start();
      expect(again.console).toContain('boot script hello.ps1 of run shop-7 exit status 3\r\n');
      expect(again.console).not.toContain('begins');
    });

    it('not where its launch data is not read, and says so', async () => {
      tell('<powershell>Restart-Computer</powershell>');
      expect(await start()).toEqual({
        code: 1,
        console: expect.stringMatching(
          /^\r\nlifeboat: launch data was not read: the user data is none of Lifeboat\. .*\r\n$/,
        ) as string,
      });
      expect(existsSync(join(root, RUN, 'status'))).toBe(false);
    });

    it('by the name of the run that it was adapted for, where it is no launch copy', async () => {
      rmSync(join(root, LAUNCH), { recursive: true });
      put(`${RUN}/environment`, 'LIFEBOAT_RUN_ID=shop-9\r\n');
      const { console } = await start('127.0.0.1:1');
      expect(console).toMatch(/^\r\nlifeboat: Windows has started, run shop-9\r\n/);
      expect(console).toContain('boot script second.ps1 of run shop-9 exit status 0');
    });
  });

  it.each([
    ['has no block any more', () => '# hosts\r\n'],
    ['has a block without an end', (text: string) => text.replace('# END lifeboat\r\n', '')],
    ['has two blocks', (text: string) => `${text}${text}`],
  ])('leaves a hosts file alone that %s', async (_, change) => {
    const text = change(get(HOSTS));
    put(HOSTS, text);
    expect((await read()).console).toBe(
      `lifeboat: the hosts file has no block of Lifeboat's any more and is left alone\n${READ}`,
    );
    expect(get(HOSTS)).toBe(text);
  });

  it.each(hostileUserData().map(([what, data]) => [what, data] as const))(
    'refuses user data whole that is %s',
    async (_, data) => {
      tell(data);
      const before = state();
      const { code, console } = await read();
      expect(console).toMatch(
        /^lifeboat: launch data was not read: [^\n]*\. Names of other machines lead nowhere/,
      );
      expect(code).toBe(1);
      expect(state()).toEqual(before);
      expect(existsSync(join(root, LAUNCH, 'applied'))).toBe(false);
    },
  );
});
