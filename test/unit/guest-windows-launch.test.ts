import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type DeviceNames } from '../../guest/disk/device-names';
import { GuestNotAdaptableError, type RecoverySiteAdaptation } from '../../guest/port';
import { PLACEHOLDER_RUN_ID, placeholderAddress } from '../../guest/launch-data';
import { HiveReader } from '../../guest/windows/hive/reader';
import { LAUNCH_READER_SCRIPT } from '../../guest/windows/launch-reader';
import { windowsFamily } from '../../guest/windows/windows-family';
import { HostDirectoryFiles } from '../support/host-directory-files';
import { makeHive, put } from '../support/hives';
import {
  dump,
  HOSTS,
  SERVICES,
  SOFTWARE,
  STATE,
  SYSTEM,
  system,
  usual,
  writeTree,
  type TreeChanges,
} from './windows-fixture';

/** Launch copies of Windows guests, on a directory of this host; on NTFS, and to an instance, in test/contract/windows-launch-copy. */

const directory = mkdtempSync(join(tmpdir(), 'lifeboat-test-windows-launch-'));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

const RUNNER = `${STATE}/Start-Lifeboat.ps1`;
const LAUNCH = `${STATE}/${PLACEHOLDER_RUN_ID}`;

let guests = 0;
function makeGuest(changes: TreeChanges = {}): string {
  const root = join(directory, String(++guests));
  writeTree(root, { ...usual, ...changes });
  return root;
}

const adaptation: RecoverySiteAdaptation = {
  diskPath: '',
  dataDisks: [],
  bootScripts: [{ name: 'hello.ps1', content: Buffer.from('Write-Output hello') }],
  hosts: [
    { address: placeholderAddress(0), names: ['db'] },
    { address: placeholderAddress(10), names: ['queue', 'queue.example'] },
  ],
  runId: PLACEHOLDER_RUN_ID,
  launchCopy: true,
};
async function opened(root: string) {
  const open = () => Promise.resolve(new HostDirectoryFiles(root));
  const family = await windowsFamily(await open());
  if (family === undefined) throw new Error('no Windows');
  return { family, guest: { open, openReadOnly: open, names: undefined as unknown as DeviceNames } };
}
async function adapt(root: string, changes: Partial<RecoverySiteAdaptation> = {}) {
  const { guest, family } = await opened(root);
  return family.adapt(guest, { ...adaptation, ...changes });
}
async function revert(root: string) {
  const { guest, family } = await opened(root);
  return family.revert(guest);
}

const get = (root: string, path: string): string => readFileSync(join(root, path), 'latin1');
const set = (root: string, path: string, text: string): void =>
  writeFileSync(join(root, path), text, 'latin1');
const registry = (root: string): HiveReader => new HiveReader(readFileSync(join(root, SYSTEM)));
function tree(root: string): Record<string, string> {
  const all: Record<string, string> = {};
  for (const name of readdirSync(root, { recursive: true, encoding: 'utf8' }))
    if (name !== SYSTEM && statSync(join(root, name)).isFile()) all[name] = get(root, name);
  return all;
}

/** What a launch has the guest write, and a boot that was cut off, too. */
function launched(root: string): void {
  const filled = (text: string): string =>
    text.replaceAll('198.18.0.11', '10.0.1.99').replaceAll('198.18.0.1', '10.0.1.30');
  for (const path of [HOSTS, `${LAUNCH}/environment`]) set(root, path, filled(get(root, path)));
  set(root, `${LAUNCH}/applied`, 'lifeboat-launch 1\n');
  set(root, `${HOSTS}.lifeboat`, 'half of a');
}

it('has what differs from launch to launch as placeholders, and what puts them right beside them', async () => {
  const root = makeGuest();
  const { warnings, changed } = await adapt(root);
  expect(warnings.join(' ')).toMatch(/Names of other VMs lead nowhere until Windows has started/);
  expect(changed).toContain('/ProgramData/Lifeboat/launch/launch/Read-LaunchData.ps1');
  expect(get(root, HOSTS)).toMatch(/\r\n198\.18\.0\.1 db\r\n198\.18\.0\.11 queue queue\.example\r\n/);
  const environment =
    'LIFEBOAT_RUN_ID=launch\r\nLIFEBOAT_ADDRESS_DB=198.18.0.1\r\n' +
    'LIFEBOAT_ADDRESS_QUEUE=198.18.0.11\r\nLIFEBOAT_ADDRESS_QUEUE_EXAMPLE=198.18.0.11\r\n';
  expect(get(root, `${LAUNCH}/environment`)).toBe(environment);
  expect(get(root, `${LAUNCH}/launch/environment`)).toBe(environment);
  expect(get(root, `${LAUNCH}/launch/hosts`)).toBe('198.18.0.1 db\r\n198.18.0.11 queue queue.example\r\n');
  expect(get(root, `${LAUNCH}/launch/Read-LaunchData.ps1`).replaceAll('\r\n', '\n')).toBe(
    LAUNCH_READER_SCRIPT,
  );
  expect(get(root, `${STATE}/run-id`)).toBe('launch\r\n');
  expect(get(root, `${LAUNCH}/scripts/00-hello.ps1`)).toBe('Write-Output hello');
});

it('names no other machine where the plan names none', async () => {
  const root = makeGuest();
  const { warnings } = await adapt(root, { hosts: [] });
  expect(warnings.join(' ')).not.toMatch(/lead nowhere/);
  expect(readdirSync(join(root, LAUNCH, 'launch')).sort()).toEqual(['Read-LaunchData.ps1', 'environment']);
});

it('is the same when it is adapted twice', async () => {
  const root = makeGuest();
  await adapt(root);
  const once = { registry: dump(registry(root)), files: tree(root) };
  await adapt(root);
  expect({ registry: dump(registry(root)), files: tree(root) }).toEqual(once);
});

describe('the way home of one that was launched', () => {
  it.each([
    ['as it was', '# hosts\r\n192.168.10.30 db cache\r\n'],
    ['with other line ends, and none at its end', '# hosts\n192.168.10.30 db\r\n192.168.10.1 gw'],
    ['without anything in it', ''],
    ['that is not there', undefined],
  ])('has a hosts file %s', async (_, hosts) => {
    const root = makeGuest({ [HOSTS]: hosts });
    const before = { registry: dump(registry(root)), files: tree(root) };
    await adapt(root);
    launched(root);
    await revert(root);
    expect(tree(root)).toEqual(before.files);
    expect(dump(registry(root))).toEqual({
      ...before.registry,
      [`\\${SERVICES}\\partmgr\\Parameters`]: [],
    });
    await expect(revert(root)).resolves.toMatchObject({ changed: [] });
  });

  it.each([
    ['# hosts\r\n192.168.10.30 db\r\n', '# hosts\r\n192.168.10.30 db\r\n10.9.9.9 mine\r\n'],
    [undefined, '10.9.9.9 mine\r\n'],
  ])('keeps what a person wrote there (%j)', async (hosts, expected) => {
    const root = makeGuest({ [HOSTS]: hosts });
    await adapt(root);
    launched(root);
    set(root, HOSTS, `${get(root, HOSTS)}10.9.9.9 mine\r\n`);
    await revert(root);
    expect(get(root, HOSTS)).toBe(expected);
    expect(readdirSync(join(root, STATE))).toEqual(['Start-Lifeboat.ps1']);
  });
});

const policy = (values: Record<string, number | string>): Buffer => {
  const root = put({}, 'Microsoft\\Windows NT\\CurrentVersion', {
    ProductName: 'Windows Server 2019 Standard',
    CurrentBuildNumber: '17763',
  });
  return makeHive(put(root, 'Policies\\Microsoft\\Windows\\PowerShell', values) && root);
};
const route = (destination: string): Buffer =>
  system({
    [`${SERVICES}\\Tcpip\\Parameters\\PersistentRoutes`]: {
      [`${destination},255.255.255.255,10.9.0.1,15`]: '',
    },
  });

it.each<[string, TreeChanges, RegExp]>([
  ['a runner', { [RUNNER]: undefined }, /nothing in it would read.*Run Prepare-LifeboatGuest\.ps1/],
  [
    'a runner of this release',
    { [RUNNER]: usual[RUNNER]!.toString().replace('# Lifeboat runner: 2', '') },
    /of an earlier release.*Run Prepare-LifeboatGuest\.ps1/,
  ],
  ['leave to run scripts', { [SOFTWARE]: policy({ EnableScripts: 0 }) }, /policy forbids PowerShell scripts/],
  [
    'leave to run scripts that nobody signed',
    { [SOFTWARE]: policy({ EnableScripts: 1, ExecutionPolicy: 'AllSigned' }) },
    /policy lets signed PowerShell scripts only run/,
  ],
  ['a way to the metadata service', { [SYSTEM]: route('169.254.169.254') }, /lasting route.*route delete/],
])(
  'makes none of a guest without %s, which is adapted at failover all the same',
  async (_, changes, told) => {
    const root = makeGuest(changes);
    const before = tree(root);
    const error = await adapt(root).then(
      () => undefined,
      (thrown: unknown) => thrown,
    );
    expect(error).toBeInstanceOf(GuestNotAdaptableError);
    expect((error as Error).message).toMatch(told);
    expect((error as Error).message).toMatch(/adapted at failover instead/);
    expect(tree(root)).toEqual(before);
    await expect(adapt(root, { launchCopy: false, bootScripts: [], hosts: [] })).resolves.toBeDefined();
  },
);

it('minds no policy that lets local scripts run, and no route to elsewhere', async () => {
  const remote = policy({ EnableScripts: 1, ExecutionPolicy: 'RemoteSigned' });
  const root = makeGuest({ [SOFTWARE]: remote, [SYSTEM]: route('10.7.0.0') });
  await expect(adapt(root)).resolves.toBeDefined();
});
