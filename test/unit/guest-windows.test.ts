import {
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type DeviceNames } from '../../guest/disk/device-names';
import { type OpenableGuest, type OperatingSystemFamily } from '../../guest/family';
import { GuestFileError } from '../../guest/files/port';
import { GuestNotAdaptableError, type RecoverySiteAdaptation } from '../../guest/port';
import { isBitLocker } from '../../guest/windows/bitlocker';
import { editHive } from '../../guest/windows/hive/edit';
import { HiveReader } from '../../guest/windows/hive/reader';
import { windowsFamily } from '../../guest/windows/windows-family';
import { HostDirectoryFiles } from '../support/host-directory-files';
import { dirty, logEntry, makeLog } from '../support/hives';
import { dump, HOSTS, SERVICES, software, STATE, SYSTEM, system, usual, writeTree } from './windows-fixture';

const directory = mkdtempSync(join(tmpdir(), 'lifeboat-test-windows-'));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

let guests = 0;
function makeGuest(changes: Record<string, string | Buffer | undefined> = {}): string {
  const root = join(directory, String(++guests));
  writeTree(root, { ...usual, ...changes });
  return root;
}

/** @param failAfter writes that succeed before the disk is gone, as where the proxy dies */
async function opened(
  root: string,
  failAfter = Infinity,
): Promise<{ guest: OpenableGuest; family: OperatingSystemFamily }> {
  let writes = 0;
  class Failing extends HostDirectoryFiles {
    override async write(path: string, content: Uint8Array): Promise<void> {
      if (++writes > failAfter) {
        await super.write(path, content.subarray(0, Math.floor(content.length / 2)));
        throw new Error('the power is gone');
      }
      return super.write(path, content);
    }
  }
  const open = async () => new Failing(root);
  const family = await windowsFamily(await open());
  if (family === undefined) throw new Error('no Windows');
  return { guest: { open, openReadOnly: open, names: undefined as unknown as DeviceNames }, family };
}

const adaptation: RecoverySiteAdaptation = {
  diskPath: '',
  dataDisks: [],
  bootScripts: [{ name: 'hello.ps1', content: Buffer.from('Write-Output hello') }],
  hosts: [{ address: '10.0.1.30', names: ['db'] }],
  runId: 'run-1',
};
async function adapt(root: string, changes: Partial<RecoverySiteAdaptation> = {}, failAfter = Infinity) {
  const { guest, family } = await opened(root, failAfter);
  return family.adapt(guest, { ...adaptation, ...changes });
}
async function revert(root: string, failAfter = Infinity) {
  const { guest, family } = await opened(root, failAfter);
  return family.revert(guest);
}

const registry = (root: string): HiveReader => new HiveReader(readFileSync(join(root, SYSTEM)));
function tree(root: string): Record<string, string> {
  const all: Record<string, string> = {};
  for (const name of readdirSync(root, { recursive: true, encoding: 'utf8' })) {
    if (name !== SYSTEM && statSync(join(root, name)).isFile())
      all[name] = readFileSync(join(root, name), 'latin1');
  }
  return all;
}

it('lets the NVMe driver start at boot, and gives names, scripts and a screen that stays', async () => {
  const root = makeGuest();
  const report = await adapt(root);
  expect(report).toMatchObject({
    family: 'Windows Server 2019 Standard (build 17763)',
    modules: ['stornvme', 'ena'],
  });
  const hive = registry(root);
  expect(hive.key(`${SERVICES}\\stornvme\\StartOverride`)).toBeUndefined();
  expect(hive.dword(`${SERVICES}\\partmgr\\Parameters`, 'SanPolicy')).toBe(1);
  expect(hive.dword(`${SERVICES}\\Dhcp`, 'Start')).toBe(2);
  expect(hive.dword('ControlSet001\\Control\\CrashControl', 'AutoReboot')).toBe(0);
  expect(hive.dword(`${SERVICES}\\LSI_SAS\\StartOverride`, '0')).toBe(3);
  const files = tree(root);
  expect(files[`${STATE}/run-1/scripts/00-hello.ps1`]).toBe('Write-Output hello');
  expect(files[`${STATE}/run-1/environment`]).toBe(
    'LIFEBOAT_RUN_ID=run-1\r\nLIFEBOAT_ADDRESS_DB=10.0.1.30\r\n',
  );
  expect(files[`${STATE}/run-id`]).toBe('run-1\r\n');
  expect(files[HOSTS]).toMatch(/# lifeboat aside: 192\.168\.10\.30 db\r\n[^]*\r\n10\.0\.1\.30 db\r\n/);
});

it('has the effect of one run when it runs twice, and goes home to what was there', async () => {
  const root = makeGuest();
  const before = { registry: dump(registry(root)), files: tree(root) };
  await adapt(root);
  const once = { registry: dump(registry(root)), files: tree(root) };
  await adapt(root);
  expect({ registry: dump(registry(root)), files: tree(root) }).toEqual(once);
  await revert(root);
  // partmgr\Parameters was made for its value; Windows has that key everywhere.
  expect(dump(registry(root))).toEqual({ ...before.registry, [`\\${SERVICES}\\partmgr\\Parameters`]: [] });
  expect(tree(root)).toEqual(before.files);
  await expect(revert(root)).resolves.toMatchObject({ changed: [] });
});

it("starts the primary site's drivers again that Windows switched off, and keeps what a person changed", async () => {
  const root = makeGuest();
  await adapt(root);
  const path = join(root, SYSTEM);
  const number = (name: string, value: number) => ({ name, type: 4, data: Buffer.from([value, 0, 0, 0]) });
  const used = await editHive(readFileSync(path), [
    { kind: 'set', key: `${SERVICES}\\pvscsi\\StartOverride`, value: number('0', 3) },
    { kind: 'set', key: `${SERVICES}\\partmgr\\Parameters`, value: number('SanPolicy', 4) },
  ]);
  writeFileSync(path, used);
  writeFileSync(join(root, HOSTS), `${readFileSync(join(root, HOSTS), 'latin1')}10.9.9.9 mine\r\n`);
  await revert(root);
  const hive = registry(root);
  expect(hive.key(`${SERVICES}\\pvscsi\\StartOverride`)).toBeUndefined();
  expect(hive.dword(`${SERVICES}\\LSI_SAS\\StartOverride`, '0')).toBe(3);
  expect(hive.dword(`${SERVICES}\\stornvme\\StartOverride`, '0')).toBe(3);
  expect(hive.dword(`${SERVICES}\\partmgr\\Parameters`, 'SanPolicy')).toBe(4);
  expect(readFileSync(join(root, HOSTS), 'latin1')).toBe('# hosts\r\n192.168.10.30 db\r\n10.9.9.9 mine\r\n');
});

it('applies what is in the logs of the hive only', async () => {
  const later = system({ 'ControlSet001\\Services\\Installed': { Type: 1, Start: 3 } });
  const first = dirty(system(), 42, 41);
  const root = makeGuest({
    [SYSTEM]: first,
    [`${SYSTEM}.LOG2`]: makeLog(first, 41, [logEntry(first, later, 41)]),
  });
  await adapt(root);
  expect(registry(root).dword(`${SERVICES}\\Installed`, 'Start')).toBe(3);
});

it('comes to one side or the other wherever it was cut off', async () => {
  const clean = makeGuest();
  const before = dump(registry(clean));
  const files = tree(clean);
  await adapt(clean);
  const after = dump(registry(clean));
  const home = { ...before, [`\\${SERVICES}\\partmgr\\Parameters`]: [] };
  let cut = 0;
  for (let finished = false; !finished; cut++) {
    const root = makeGuest();
    finished = await adapt(root, {}, cut).then(
      () => true,
      () => false,
    );
    await adapt(root);
    expect(dump(registry(root))).toEqual(after);
    await revert(root, cut).catch(() => undefined);
    await revert(root);
    expect(dump(registry(root))).toEqual(home);
    expect(tree(root)).toEqual(files);
  }
  expect(cut).toBeGreaterThan(6);
}, 120_000);

it.each<[string, Record<string, string | Buffer | undefined>, RegExp]>([
  ['hibernated', { 'hiberfil.sys': 'HIBR and more' }, /hibernated.*powercfg \/hibernate off/],
  [
    'older than 8.1',
    { 'WINDOWS/System32/config/SOFTWARE': software('7601', 'Windows 7') },
    /Windows 7 \(build 7601\).*no NVMe/,
  ],
  [
    'without ENA',
    { 'WINDOWS/System32/DriverStore/FileRepository/ena.inf_amd64_0123456789abcdef/ena.sys': undefined },
    /no driver of AWS's network card \(ENA\).*Prepare-LifeboatGuest\.ps1/,
  ],
  [
    'without a runner',
    { 'ProgramData/Lifeboat/Start-Lifeboat.ps1': undefined },
    /boot scripts.*Prepare-LifeboatGuest\.ps1/,
  ],
  ['without the NVMe driver', { 'WINDOWS/System32/drivers/stornvme.sys': undefined }, /stornvme\.sys/],
  [
    'with a hive that cannot be completed',
    { [SYSTEM]: dirty(system(), 42, 41) },
    /SYSTEM cannot be used.*shutdown/,
  ],
  ['with a damaged hive', { [SYSTEM]: system().fill(7, 5000, 5100) }, /SYSTEM cannot be used/],
])('refuses a guest %s, and leaves it as it was', async (_, changes, message) => {
  const root = makeGuest(changes);
  const before = tree(root);
  const error = await adapt(root).then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(GuestNotAdaptableError);
  expect((error as Error).message).toMatch(message);
  expect(tree(root)).toEqual(before);
});

it('takes a guest that woke from hibernation since, and says what it cannot know', async () => {
  const report = await adapt(makeGuest({ 'hiberfil.sys': 'wake' }));
  expect(report.warnings.join(' ')).toMatch(/known only after a test failover/);
});

it('lists no directory to find a name in it, as some have more entries than are believed', async () => {
  const root = makeGuest({ 'WINDOWS/WinSxS/amd64_one/file': '' });
  class Large extends HostDirectoryFiles {
    override async list(path: string): Promise<string[]> {
      if (/^\/windows(\/winsxs|\/system32)?$/i.test(path))
        throw new GuestFileError(path, 'has too many entries');
      return super.list(path);
    }
  }
  const open = () => Promise.resolve(new Large(root));
  const family = await windowsFamily(await open());
  const guest = { open, openReadOnly: open, names: undefined as unknown as DeviceNames };
  await expect(family?.adapt(guest, adaptation)).resolves.toMatchObject({ modules: ['stornvme', 'ena'] });
});

it('says what a guest without a runner would refuse, where there is no script for it', async () => {
  const { warnings } = await adapt(makeGuest({ 'ProgramData/Lifeboat/Start-Lifeboat.ps1': undefined }), {
    bootScripts: [],
  });
  expect(warnings.join(' ')).toMatch(/with boot scripts is refused.*Prepare-LifeboatGuest\.ps1/);
});

it('believes no record that names anything else', async () => {
  const root = makeGuest();
  await adapt(root);
  const path = join(root, STATE, 'adaptation.json');
  const record = readFileSync(path, 'utf8');
  for (const [ours, forged] of [
    ['"runId": "run-1"', '"runId": "../../WINDOWS"'],
    ['/ProgramData/Lifeboat/run-id', '/Windows/System32/config/SAM'],
    [`${SERVICES}\\\\Dhcp`.replaceAll('\\S', '\\\\S'), 'ControlSet001\\\\Services\\\\WinDefend'],
  ] as const) {
    expect(record).toContain(ours);
    writeFileSync(path, record.replace(ours, forged));
    await expect(revert(root)).rejects.toThrow(/damaged/);
  }
});

it('tells nothing of passwords, and opens no file that has them', async () => {
  const hash = 'aad3b435b51404eeaad3b435b51404ee:31d6cfe0d16ae931b73c59d7e0c089c0';
  const secret = ['SAM', 'SECURITY', 'RegBack/SAM'].map((name) => `WINDOWS/System32/config/${name}`);
  const root = makeGuest(Object.fromEntries(secret.map((path) => [path, hash])));
  const read: string[] = [];
  class Watched extends HostDirectoryFiles {
    override read(path: string, maxBytes: number): Promise<Buffer> {
      read.push(path);
      return super.read(path, maxBytes);
    }
    override readStart(path: string, bytes: number): Promise<Buffer> {
      read.push(path);
      return super.readStart(path, bytes);
    }
    override download(path: string, hostPath: string, maxBytes: number): Promise<void> {
      read.push(path);
      return super.download(path, hostPath, maxBytes);
    }
  }
  const open = () => Promise.resolve(new Watched(root));
  const family = await windowsFamily(await open());
  const guest = { open, openReadOnly: open, names: undefined as unknown as DeviceNames };
  const told = [await family?.adapt(guest, adaptation), await family?.revert(guest)];
  expect(JSON.stringify(told)).not.toContain(hash);
  expect(read.some((path) => path.toLowerCase().endsWith('config/system'))).toBe(true);
  expect(read.filter((path) => /(sam|security)$/i.test(path))).toEqual([]);
  const files = tree(root);
  expect(
    Object.keys(files)
      .filter((path) => files[path]?.includes(hash))
      .sort(),
  ).toEqual(secret.sort());
});

it('knows a volume that BitLocker encrypts', async () => {
  const disk = join(directory, 'disk');
  writeFileSync(disk, Buffer.concat([Buffer.alloc(512), Buffer.from('\xeb\x58\x90-FVE-FS-', 'latin1')]));
  await expect(isBitLocker(disk, 512)).resolves.toBe(true);
  await expect(isBitLocker(disk, 0)).resolves.toBe(false);
});

it('follows no junction, wherever it leads', async () => {
  const root = makeGuest();
  renameSync(join(root, 'ProgramData'), join(root, 'Elsewhere'));
  symlinkSync('Elsewhere', join(root, 'ProgramData'));
  await expect(adapt(root)).rejects.toThrow(/ProgramData in the guest: is a link \(junction\)/);
  renameSync(join(root, 'WINDOWS'), join(root, 'Other'));
  symlinkSync('Other', join(root, 'WINDOWS'));
  await expect(windowsFamily(new HostDirectoryFiles(root))).resolves.toBeUndefined();
});

it('is no Windows without a registry', async () => {
  const root = join(directory, 'empty');
  mkdirSync(root);
  await expect(windowsFamily(new HostDirectoryFiles(root))).resolves.toBeUndefined();
});
