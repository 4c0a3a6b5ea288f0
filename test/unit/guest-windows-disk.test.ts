import { execFileSync } from 'node:child_process';
import { copyFileSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { guestAdapter } from '../../guest/adapter';
import { detectFamily } from '../../guest/detect-family';
import { openApplianceSystem } from '../../guest/disk/appliance-system';
import { withGuest, type OpenGuest } from '../../guest/files/open-guest';
import { type GuestFiles } from '../../guest/files/port';
import { GuestNotAdaptableError, type RecoverySiteAdaptation } from '../../guest/port';
import { HiveReader } from '../../guest/windows/hive/reader';
import { dirty, logEntry, makeLog } from '../support/hives';
import { leaveUnended, markAsDamaged, mistakeCluster } from '../support/ntfs-volume';
import { Appliance } from '../../guest/files/appliance/appliance';
import { directory, onDisks, removeDisks } from './appliance-fixture';
import {
  allFiles,
  dump,
  fileOn,
  GPT,
  HOSTS,
  isSound,
  LOADER,
  loaders,
  makeWindowsDisk,
  MBR,
  mounted,
  patchVolume,
  SERVICES,
  software,
  STATE,
  SYSTEM,
  SOFTWARE,
  system,
  volumeOf,
  type WindowsLayout,
} from './windows-fixture';
import { changePartition } from '../support/partition';

// Each appliance is a machine that boots, in two to four seconds on an idle host without KVM; an adaptation is one, a way home two.
jest.setTimeout(300_000);
afterAll(removeDisks);

const GPT_BASIC_DATA = 'EBD0A0A2-B9E5-4433-87C0-68B6B72699C7';
const adapter = guestAdapter();
const adaptation: Omit<RecoverySiteAdaptation, 'diskPath'> = {
  dataDisks: [],
  bootScripts: [{ name: 'hello.ps1', content: Buffer.from('Write-Output hello') }],
  hosts: [{ address: '10.0.1.30', names: ['db'] }],
  runId: 'run-1',
};
const adapt = (diskPath: string) => adapter.adaptForRecoverySite({ ...adaptation, diskPath });
const revert = (diskPath: string) => adapter.revertForPrimarySite(diskPath);

const registry = (volume: string): HiveReader => new HiveReader(fileOn(volume, SYSTEM) ?? Buffer.alloc(0));
/** partmgr\Parameters was made for its value; Windows has that key everywhere. */
const home = (before: Record<string, unknown>) => ({
  ...before,
  [`\\${SERVICES}\\partmgr\\Parameters`]: [],
});

/** All that matters of a guest: files but for the hive, the hive's values, the loaders. */
function contentOf(disk: string, layout: WindowsLayout) {
  const volume = volumeOf(disk, layout);
  expect(isSound(volume)).toBe(true);
  const { [SYSTEM.toLowerCase()]: _, ...files } = allFiles(volume);
  return { files, hive: dump(registry(volume)), loaders: loaders(disk, layout) };
}

let copies = 0;
function copyOf(disk: string): string {
  const path = join(directory, `copy-${++copies}.raw`);
  copyFileSync(disk, path);
  return path;
}

const made = new Map<WindowsLayout, Promise<string>>();
/** A disk of one's own, with some files of people. It is made once for each layout, which an appliance has to start for. */
async function freshDisk(layout: WindowsLayout): Promise<string> {
  const disk =
    made.get(layout) ??
    makeWindowsDisk(layout, {
      'Users/Jürgen/日記.txt': 'mine',
      'Program Files/a b.txt': '',
      'Users/x.txt': 'not committed 1',
    });
  made.set(layout, disk);
  return copyOf(await disk);
}

async function failure(work: Promise<unknown>): Promise<Error> {
  const error = await work.then(
    () => new Error('It did not fail.'),
    (thrown: unknown) => thrown as Error,
  );
  if (!(error instanceof GuestNotAdaptableError)) throw error;
  return error;
}

/** What programs of the appliance print of the system's volume, which is mounted without writing to it. */
async function told(disk: string, layout: WindowsLayout, commands: string[][]): Promise<string[]> {
  const appliance = await Appliance.start([disk], 'look');
  const outputs: string[] = [];
  try {
    for (const command of mounted(layout, commands, 'ro,streams_interface=xattr')) {
      const { exitCode, stdout, stderr } = await appliance.run(command, 120);
      if (exitCode !== 0) throw new Error(`${command.join(' ')}: ${stdout}${stderr}`);
      if (commands.includes(command)) outputs.push(stdout);
    }
  } finally {
    await appliance.kill();
  }
  return outputs;
}

const python = process.env.LIFEBOAT_PYTHON;
const withPython = python === undefined ? it.skip : it;
const setfattr = (path: string, name: string, value: string) => [
  '/bin/setfattr',
  '-n',
  name,
  '-v',
  value,
  path,
];
const getfattr = (path: string, name: string) => [
  ...['/bin/getfattr', '-h', '--absolute-names', '-e', 'hex', '-n', name],
  path,
];
const at = (path: string): string => `/guest/x/${path}`;

/**
 * Each of these opens many appliances, one after the other: minutes under emulation. `LIFEBOAT_LONG_TESTS=1` runs them, too;
 * otherwise they are skipped, and counted as such.
 */
const long = process.env.LIFEBOAT_LONG_TESTS === '1' ? it : it.skip;

describe.each([
  ['GPT', GPT],
  ['MBR', MBR],
])('a Windows on NTFS and %s', (_, layout) => {
  (layout === GPT ? it : long)('is adapted once and again, and comes home as it was', async () => {
    const disk = await freshDisk(layout);
    const before = contentOf(disk, layout);
    expect(Object.keys(before.files)).toContain('users/jürgen/日記.txt');
    const report = await adapt(disk);
    expect(report).toMatchObject({
      family: 'Windows Server 2019 Standard (build 17763)',
      modules: ['stornvme', 'ena'],
    });
    expect(report.changed).toContain('/Windows/System32/config/SYSTEM');
    const once = contentOf(disk, layout);
    const hive = registry(volumeOf(disk, layout));
    expect(hive.key(`${SERVICES}\\stornvme\\StartOverride`)).toBeUndefined();
    expect(hive.dword(`${SERVICES}\\partmgr\\Parameters`, 'SanPolicy')).toBe(1);
    expect(once.files[`${STATE}/run-1/scripts/00-hello.ps1`.toLowerCase()]).toBe('Write-Output hello');
    expect(once.files[HOSTS.toLowerCase()]).toMatch(/\r\n10\.0\.1\.30 db\r\n/);
    expect(once.loaders['efi/boot/bootx64.efi']).toBe(layout.esp ? 'boot manager' : undefined);
    await adapt(disk);
    expect(contentOf(disk, layout)).toEqual(once);
    expect((await revert(disk)).changed).toContain('/Windows/System32/config/SYSTEM');
    expect(contentOf(disk, layout)).toEqual({ ...before, hive: home(before.hive) });
    const untouched = readFileSync(disk);
    await expect(revert(disk)).resolves.toMatchObject({ changed: [] });
    expect(readFileSync(disk).equals(untouched)).toBe(true);
  });
});

withPython('has a hive that regipy and python-registry read, with what its log held', async () => {
  const later = system({ [`${SERVICES}\\Installed`]: { Type: 1, Start: 3 } });
  const first = dirty(system(), 42, 41);
  const disk = await makeWindowsDisk(MBR, {
    [SYSTEM]: first,
    [`${SYSTEM}.LOG1`]: '',
    [`${SYSTEM}.LOG2`]: makeLog(first, 41, [logEntry(first, later, 41)]),
  });
  await adapt(disk);
  const hive = join(directory, 'SYSTEM');
  writeFileSync(hive, fileOn(volumeOf(disk, MBR), SYSTEM) ?? '');
  const script = [
    'import sys, json',
    'from Registry import Registry',
    'from regipy.registry import RegistryHive',
    'one, other = Registry.Registry(sys.argv[1]), RegistryHive(sys.argv[1])',
    `s = "${SERVICES.replaceAll('\\', '\\\\')}"`,
    'paths = ["stornvme", "Installed", "Dhcp", "partmgr\\\\Parameters"]',
    'values = lambda p: sorted([v.name(), v.value()] for v in one.open(s + "\\\\" + p).values())',
    'same = lambda p: sorted([v.name, v.value] for v in other.get_key("\\\\" + s + "\\\\" + p).iter_values())',
    'print(json.dumps([[values(p) for p in paths], [same(p) for p in paths], [k.name() for k in one.open(s + "\\\\stornvme").subkeys()]]))',
  ].join('\n');
  const printed = execFileSync(python ?? '', ['-c', script, hive], { encoding: 'utf8' });
  const [ours, theirs, below] = JSON.parse(printed) as [unknown, unknown, unknown];
  const Type = ['Type', 1];
  expect(ours).toEqual([
    [['Start', 0], Type],
    [['Start', 3], Type],
    [
      ['Start', 2],
      ['Type', 32],
    ],
    [['SanPolicy', 1]],
  ]);
  expect(theirs).toEqual(ours);
  expect(below).toEqual([]);
});

long(
  'keeps attributes, streams, short names and rights, and gives new files the rights of their directory',
  async () => {
    // A compressed directory compresses what is made in it.
    const config = 'WINDOWS/System32/config';
    const disk = await makeWindowsDisk(MBR, {}, [
      setfattr(at(config), 'system.ntfs_attrib', '0x10080000'),
      ['/applets/cp', at(SYSTEM), at(`${config}/new`)],
      ['/applets/mv', at(`${config}/new`), at(SYSTEM)],
      ['/applets/truncate', '-s', '1048576', at(SYSTEM)],
      setfattr(at(HOSTS), 'user.note', 'a stream'),
      setfattr(at(HOSTS), 'system.ntfs_dos_name', 'HOSTS~1'),
      setfattr(at(HOSTS), 'system.ntfs_attrib', '0x23000000'),
      setfattr(at('ProgramData'), 'system.ntfs_dos_name', 'PROGRA~3'),
      setfattr(at(STATE), 'system.ntfs_acl', PROTECTED),
      // As CompactOS leaves a driver: a link of a kind that is Windows' own.
      setfattr(at('WINDOWS/System32/drivers/stornvme.sys'), 'system.ntfs_reparse_data', WOF),
    ]);
    const asked = [
      getfattr(at(SYSTEM), 'system.ntfs_attrib'),
      getfattr(at(SYSTEM), 'system.ntfs_acl'),
      getfattr(at(HOSTS), 'system.ntfs_attrib'),
      getfattr(at(HOSTS), 'system.ntfs_acl'),
      getfattr(at(HOSTS), 'system.ntfs_dos_name'),
      getfattr(at(HOSTS), 'user.note'),
      getfattr(at('ProgramData'), 'system.ntfs_dos_name'),
      getfattr(at('WINDOWS/System32/drivers/stornvme.sys'), 'system.ntfs_reparse_data'),
    ];
    const before = await told(disk, MBR, asked);
    await adapt(disk);
    const script = getfattr(at(`${STATE}/run-1/scripts/00-hello.ps1`), 'system.ntfs_acl');
    const [acl, ...after] = await told(disk, MBR, [script, ...asked]);
    expect(after).toEqual(before);
    // Nobody else has a part in what SYSTEM is to run.
    expect(acl).toContain(SYSTEM_USER);
    for (const user of [EVERYONE, AUTHENTICATED, USERS]) expect(acl).not.toContain(user);
    expect(registry(volumeOf(disk, MBR)).dword(`${SERVICES}\\Dhcp`, 'Start')).toBe(2);
    await revert(disk);
    expect(await told(disk, MBR, asked)).toEqual(before);
  },
);

const SYSTEM_USER = '010100000000000512000000';
const ADMINISTRATORS = '01020000000000052000000020020000';
const EVERYONE = '010100000000000100000000';
const AUTHENTICATED = '01010000000000050b000000';
const USERS = '01020000000000052000000021020000';
/** Full access, for what is below, too. */
const grant = (user: string): string => {
  const size = Buffer.from([8 + user.length / 2]).toString('hex');
  return `0003${size}00ff011f00${user}`;
};
/** A descriptor whose rights do not come from above, as the prepare script makes it. */
const PROTECTED = `0x${[
  '01000490', // relative offsets, protected
  '48000000580000000000000014000000', // owner, group, no audit, list
  '0200340002000000',
  grant(SYSTEM_USER),
  grant(ADMINISTRATORS),
  ADMINISTRATORS,
  ADMINISTRATORS,
].join('')}`;
/** Reparse data of a file that CompactOS has compressed. */
const WOF = `0x${'17000080' + '1000' + '0000' + '01000000' + '02000000' + '01000000' + '00000000'}`;

describe('a Windows that was not shut down', () => {
  const from = '192.168.10.30 db';
  const to = '192.168.10.77 db';

  it('has what is in the log of its NTFS, and not what was not committed', async () => {
    const disk = await freshDisk(GPT);
    patchVolume(disk, GPT, (volume) =>
      leaveUnended(volume, [
        { from, to, committed: true },
        { from: 'not committed 1', to: 'not committed 2', committed: false },
      ]),
    );
    await adapt(disk);
    const { files } = contentOf(disk, GPT);
    expect(files[HOSTS.toLowerCase()]).toContain(`# lifeboat aside: ${to}\r\n`);
    expect(files['users/x.txt']).toBe('not committed 1');
  });

  it('is refused where it is hibernated, and its log is left alone', async () => {
    const disk = await makeWindowsDisk(GPT, { 'hiberfil.sys': `HIBR${'\0'.repeat(8192)}` });
    patchVolume(disk, GPT, (volume) => leaveUnended(volume, [{ from, to, committed: true }]));
    const before = readFileSync(disk);
    expect((await failure(adapt(disk))).message).toMatch(/hibernated.*powercfg \/hibernate off/);
    expect((await failure(revert(disk))).message).toMatch(/hibernated/);
    expect(readFileSync(disk).equals(before)).toBe(true);
  });
});

describe('a Windows that cannot be adapted', () => {
  /** A disk of one's own, changed. */
  async function changed(change: (volume: Buffer) => void): Promise<string> {
    const disk = await freshDisk(GPT);
    patchVolume(disk, GPT, change);
    return disk;
  }

  it.each<[string, (volume: Buffer) => void, RegExp]>([
    [
      'is encrypted by BitLocker',
      (volume) => volume.write('-FVE-FS-', 3, 'latin1'),
      /Partition 3 of the boot disk is encrypted by BitLocker.*manage-bde -off/,
    ],
    ['has errors that Windows has found', markAsDamaged, /marked as damaged.*chkdsk C: \/f/],
    [
      'has errors that it has not found',
      (volume) => mistakeCluster(volume, 'missing'),
      /has errors:.*Cluster accounting failed.*missing.*chkdsk C: \/f/,
    ],
    [
      'has a log that cannot be replayed',
      (volume) => {
        leaveUnended(volume, []);
        // All but the pages that say that it was not ended.
        const log = volume.indexOf('RSTR', 0, 'latin1');
        volume.fill(0x5a, log + 2 * 4096, log + 64 * 4096);
      },
      /its log cannot be replayed.*shutdown \/s/s,
    ],
  ])('because it %s says so, and what to do', async (_, change, message) => {
    const disk = await changed(change);
    const before = readFileSync(disk);
    expect((await failure(adapt(disk))).message).toMatch(message);
    if (!message.source.includes('replayed')) expect(readFileSync(disk).equals(before)).toBe(true);
  });

  it.each([
    ['with its volume where it was', (volume: Buffer) => volume],
    ['with volumes that only Windows puts together', (volume: Buffer) => volume.fill(0)],
  ])('because its disk is a dynamic one, %s, says so', async (_, change) => {
    const disk = await changed(change);
    changePartition(disk, '--part-type', 3, 'AF9B60A0-1431-4F62-BC68-3311714A69AD');
    const before = readFileSync(disk);
    expect((await failure(adapt(disk))).message).toMatch(/dynamic disk \(LDM\).*Convert it to a basic disk/);
    expect(readFileSync(disk).equals(before)).toBe(true);
  });

  it('for what is on it says that', async () => {
    const old = await changed(() => undefined);
    const bare = copyOf(old);
    const put = (path: string, content: Buffer | undefined) =>
      content === undefined
        ? mounted(GPT, [['/applets/rm', at(path)]])
        : mounted(GPT, [['/applets/cp', '/dev/nvme0n2', at(path)]]);
    const hive = join(directory, 'old');
    // A disk of whole sectors; what follows the hive's bins does not count.
    const seven = software('7601', 'Windows 7');
    writeFileSync(hive, Buffer.concat([seven, Buffer.alloc(2 ** 20 - seven.length)]));
    await onDisks([old, hive], put(SOFTWARE, seven));
    expect((await failure(adapt(old))).message).toMatch(/Windows 7 \(build 7601\).*no NVMe driver/);
    const ena = 'WINDOWS/System32/DriverStore/FileRepository/ena.inf_amd64_0123456789abcdef/ena.sys';
    await onDisks([bare], put(ena, undefined));
    expect((await failure(adapt(bare))).message).toMatch(/\(ENA\).*Prepare-LifeboatGuest\.ps1/);
  });

  it('is adapted where clusters are lost and nothing else, and that is told', async () => {
    const disk = await changed((volume) => mistakeCluster(volume, 'extra'));
    const { warnings } = await adapt(disk);
    expect(warnings.join(' ')).toMatch(/1 clusters marked as used that no file has/);
  });

  long(
    'is adapted where another partition of its boot disk is encrypted, damaged, or has another Windows',
    async () => {
      const disk = await makeWindowsDisk(MBR);
      const recovery = { ...MBR, system: { number: 1, at: 1, size: 20 }, others: [] };
      patchVolume(disk, recovery, (volume) => volume.write('-FVE-FS-', 3, 'latin1'));
      await expect(adapt(disk)).resolves.toMatchObject({ modules: ['stornvme', 'ena'] });
      const second = await makeWindowsDisk(MBR);
      patchVolume(second, recovery, (volume) => volume.fill(0x5a, 16384, 65536));
      const data = readFileSync(disk);
      await expect(
        adapter.adaptForRecoverySite({
          ...adaptation,
          diskPath: second,
          dataDisks: [{ diskPath: disk, slot: 1 }],
        }),
      ).resolves.toMatchObject({ modules: ['stornvme', 'ena'] });
      expect(readFileSync(disk).equals(data)).toBe(true);
    },
  );

  long('for how it boots says that', async () => {
    const disk = await changed(() => undefined);
    execFileSync('mdel', ['-i', `${disk}@@${2 ** 20}`, `::/${LOADER}`]);
    expect((await failure(adapt(disk))).message).toMatch(/has no EFI\\Microsoft\\Boot\\bootmgfw\.efi/);
    changePartition(disk, '--part-type', 1, GPT_BASIC_DATA);
    expect((await failure(adapt(disk))).message).toMatch(/GPT, and the disk has no EFI system partition/);
  });

  long('for another Windows on its disk says that', async () => {
    const twice: WindowsLayout = {
      script: 'label: dos\nstart=2048, size=163840, type=7\nsize=163840, type=7',
      others: [],
      system: { number: 1, at: 1, size: 80 },
      sizeMiB: 162,
    };
    const disk = await makeWindowsDisk(twice);
    const content = readFileSync(disk);
    content.copy(content, 81 * 2 ** 20, 2 ** 20, 81 * 2 ** 20);
    writeFileSync(disk, content);
    expect((await failure(adapt(disk))).message).toMatch(
      /nvme0n1p1 and .*nvme0n1p2 .*both hold an operating system/,
    );
  });
});

describe('work on an NTFS that was cut off', () => {
  /** Files whose disk is gone after so many writes. */
  function failing(open: OpenGuest, cut: { left: number }, flushed: boolean): OpenGuest {
    return async () => {
      const files = await open();
      const write: GuestFiles['write'] = async (path, content, attributes) => {
        if (cut.left-- > 0) return files.write(path, content, attributes);
        await files.write(path, content.subarray(0, content.length / 2), attributes);
        throw new Error('the power is gone');
      };
      const close = (): Promise<void> => (cut.left < 0 && !flushed ? Promise.resolve() : files.close());
      return new Proxy(files, {
        get: (target, name: keyof GuestFiles) => {
          if (name === 'write') return write;
          if (name === 'close') return close;
          const member: unknown = target[name];
          return typeof member === 'function' ? (member.bind(target) as unknown) : member;
        },
      });
    };
  }

  async function cutOff(disk: string, writes: number, flushed: boolean): Promise<void> {
    const guest = await openApplianceSystem(disk, { dataDisks: [] }, 'write');
    try {
      const family = await withGuest(guest.openReadOnly, detectFamily);
      const open = failing(guest.open, { left: writes }, flushed);
      const work = family.adapt({ ...guest, open }, { ...adaptation, diskPath: disk });
      await expect(work).rejects.toThrow(/the power is gone/);
    } finally {
      await guest.abandon();
    }
  }

  long('goes on, or begins again, and comes home', async () => {
    const fresh = await makeWindowsDisk(MBR);
    const before = contentOf(fresh, MBR);
    const whole = copyOf(fresh);
    await adapt(whole);
    const after = contentOf(whole, MBR);
    for (const [writes, flushed] of [
      [4, true],
      [7, false],
    ] as const) {
      const disk = copyOf(fresh);
      await cutOff(disk, writes, flushed);
      await adapt(disk);
      expect(contentOf(disk, MBR)).toEqual(after);
      await revert(disk);
      expect(contentOf(disk, MBR)).toEqual({ ...before, hive: home(before.hive) });
    }
  });
});
