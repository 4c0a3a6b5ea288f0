import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { projectRoot } from '../../host/project-root';
import { type HiveReader, type RegistryKey } from '../../guest/windows/hive/reader';
import { makeHive, put, type HiveKey } from '../support/hives';
import { directory, emptyDisk, onDisks } from './appliance-fixture';
import { partition } from '../support/partition';

/** What a Windows guest has that matters here: its registry and some files, and disks that hold them. */

export const SYSTEM = 'WINDOWS/System32/config/SYSTEM';
export const SOFTWARE = 'WINDOWS/System32/config/SOFTWARE';
export const HOSTS = 'WINDOWS/System32/drivers/etc/hosts';
export const STATE = 'ProgramData/Lifeboat';
export const SERVICES = 'ControlSet001\\Services';

export type WindowsTree = Record<string, string | Buffer>;

export function system(changes: Record<string, Record<string, number | string>> = {}): Buffer {
  const root: HiveKey = put({}, 'Select', { Default: 1, Current: 1, LastKnownGood: 1 });
  const service = (name: string, start: number) =>
    put(root, `${SERVICES}\\${name}`, { Type: 1, Start: start });
  for (const name of ['disk', 'partmgr', 'pvscsi', 'LSI_SAS', 'stornvme']) service(name, 0);
  put(root, `${SERVICES}\\stornvme\\StartOverride`, { '0': 3 });
  put(root, `${SERVICES}\\LSI_SAS\\StartOverride`, { '0': 3 });
  put(root, `${SERVICES}\\Dhcp`, { Type: 32, Start: 4 });
  put(root, 'ControlSet001\\Control\\CrashControl', { AutoReboot: 1, DumpFile: 'C:\\MEMORY.DMP' });
  put(root, 'ControlSet001\\Control\\Session Manager\\Environment', { PROCESSOR_ARCHITECTURE: 'AMD64' });
  for (const [path, values] of Object.entries(changes)) put(root, path, values);
  return makeHive(root, { bytes: 65536, sequence: 40 });
}

export function software(build: string, product = 'Windows Server 2019 Standard'): Buffer {
  return makeHive(
    put({}, 'Microsoft\\Windows NT\\CurrentVersion', { ProductName: product, CurrentBuildNumber: build }),
  );
}

export const usual: WindowsTree = {
  [SYSTEM]: system(),
  [SOFTWARE]: software('17763'),
  'WINDOWS/System32/drivers/stornvme.sys': 'driver',
  'WINDOWS/System32/DriverStore/FileRepository/ena.inf_amd64_0123456789abcdef/ena.sys': 'driver',
  'WINDOWS/System32/DriverStore/FileRepository/awsnvme.inf_amd64_0123456789abcdef/AWSNVMe.sys': 'driver',
  [HOSTS]: '# hosts\r\n192.168.10.30 db\r\n',
  'ProgramData/Lifeboat/Start-Lifeboat.ps1': readFileSync(
    join(projectRoot(), 'guest/windows/prepare/Start-Lifeboat.ps1'),
  ),
};

export type TreeChanges = Record<string, string | Buffer | undefined>;

/** Writes a tree of files to a directory of this host; those that are undefined are left out. */
export function writeTree(root: string, tree: TreeChanges): void {
  for (const [path, content] of Object.entries(tree)) {
    if (content === undefined) continue;
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), content);
  }
}

/** All keys and values of a hive. */
export function dump(hive: HiveReader): Record<string, unknown> {
  const all: Record<string, unknown> = {};
  const walk = (key: RegistryKey, path: string): void => {
    const values = hive.values(key).map(({ name, type, data }) => `${name} ${type} ${data.toString('hex')}`);
    all[path] = values.sort();
    for (const below of hive.subkeys(key)) walk(below, `${path}\\${below.name}`);
  };
  walk(hive.root, '');
  return all;
}

const MIB = 2 ** 20;

/** A partition of a test disk: where it begins and how large it is, in MiB, and its number. */
interface Place {
  number: number;
  at: number;
  size: number;
}

export interface WindowsLayout {
  script: string;
  esp?: Place;
  /** Others with NTFS: System Reserved, recovery. */
  others: Place[];
  system: Place;
  sizeMiB: number;
}

/** As Windows Setup makes it for UEFI. */
export const GPT: WindowsLayout = {
  script: [
    'label: gpt',
    'start=2048, size=81920, type=C12A7328-F81F-11D2-BA4B-00A0C93EC93B',
    'size=32768, type=E3C9E316-0B5C-4DB8-817D-F92DF00215AE',
    'size=163840, type=EBD0A0A2-B9E5-4433-87C0-68B6B72699C7',
    'size=40960, type=DE94BBA4-06D1-4D40-A16A-BFD50179D6AC',
  ].join('\n'),
  esp: { number: 1, at: 1, size: 40 },
  system: { number: 3, at: 57, size: 80 },
  others: [{ number: 4, at: 137, size: 20 }],
  sizeMiB: 160,
};

/** As Windows Setup makes it for a BIOS. */
export const MBR: WindowsLayout = {
  script: 'label: dos\nstart=2048, size=40960, type=7, bootable\nsize=163840, type=7',
  others: [{ number: 1, at: 1, size: 20 }],
  system: { number: 2, at: 21, size: 80 },
  sizeMiB: 104,
};

export const LOADER = 'EFI/Microsoft/Boot/bootmgfw.efi';
const NTFS_OPTIONS =
  'rw,norecover,compression,windows_names,inherit,usermapping=/etc/ntfs-users,streams_interface=xattr';

/** Commands of the appliance that mount the system's volume at /guest/x, and unmount it. */
export function mounted(layout: WindowsLayout, commands: string[][], options = NTFS_OPTIONS): string[][] {
  return [
    ['/applets/modprobe', 'fuse'],
    ['/applets/mkdir', '-p', '/guest/x'],
    ['/bin/lowntfs-3g', '-o', options, `/dev/nvme0n1p${layout.system.number}`, '/guest/x'],
    ...commands,
    ['/bin/busybox', 'umount', '/guest/x'],
  ];
}

/**
 * A disk with a Windows on it, as far as anything here reads one.
 * @param commands of the appliance, run on the volume at /guest/x once the files are there
 */
export async function makeWindowsDisk(
  layout: WindowsLayout,
  changes: TreeChanges = {},
  commands: string[][] = [],
): Promise<string> {
  const disk = emptyDisk(layout.sizeMiB);
  partition(disk, layout.script);
  if (layout.esp) makeEsp(disk, layout.esp, { [LOADER]: 'boot manager' });
  const source = mkdtempSync(join(directory, 'windows-'));
  writeTree(source, { ...usual, ...changes });
  const archive = `${source}.tar`;
  execFileSync('tar', ['-cf', archive, '--owner=0', '--group=0', '-C', source, '.']);
  await onDisks(
    [disk, archive],
    [
      ...[...layout.others, layout.system].map(({ number }) => [
        '/bin/mkntfs',
        '-Q',
        '-F',
        '-q',
        `/dev/nvme0n1p${number}`,
      ]),
      ...mounted(layout, [['/bin/tar', '-xf', '/dev/nvme0n2', '-C', '/guest/x'], ...commands]),
    ],
  );
  return disk;
}

function esp(disk: string, { at }: Place, tool: string, ...args: string[]): string {
  return execFileSync(tool, ['-i', `${disk}@@${at * MIB}`, ...args], { encoding: 'latin1' });
}

function makeEsp(disk: string, place: Place, files: Record<string, string>): void {
  esp(disk, place, 'mformat', '-F', '-T', String((place.size * MIB) / 512), '-h', '64', '-s', '32', '::');
  for (const [path, content] of Object.entries(files)) {
    const parts = path.split('/').slice(0, -1);
    parts.forEach((_, index) => esp(disk, place, 'mmd', `::/${parts.slice(0, index + 1).join('/')}`));
    const host = join(directory, 'loader');
    writeFileSync(host, content);
    esp(disk, place, 'mcopy', host, `::/${path}`);
  }
}

/** What is on the EFI system partition, by path in lower case. */
export function loaders(disk: string, layout: WindowsLayout): Record<string, string> {
  const place = layout.esp;
  if (place === undefined) return {};
  const listed = esp(disk, place, 'mdir', '-b', '-/', '::').split('\n');
  const paths = listed.filter((line) => line !== '' && !line.endsWith('/'));
  return Object.fromEntries(
    paths.map((path) => [path.slice(3).toLowerCase(), esp(disk, place, 'mtype', path)]),
  );
}

/** A copy of the system's volume, for programs of this host that read NTFS. */
export function volumeOf(disk: string, { system: { at, size } }: WindowsLayout): string {
  const path = join(mkdtempSync(join(directory, 'volume-')), 'ntfs');
  writeFileSync(path, readFileSync(disk).subarray(at * MIB, (at + size) * MIB));
  return path;
}

/** A file of the guest, read by ntfscat of this host; undefined where there is none. */
export function fileOn(volume: string, path: string): Buffer | undefined {
  try {
    return execFileSync('ntfscat', [volume, `/${path}`], { stdio: ['ignore', 'pipe', 'ignore'] });
  } catch {
    return undefined;
  }
}

/** All files of the volume by path in lower case, read by programs of this host. */
export function allFiles(volume: string): Record<string, string> {
  const listed = execFileSync('ntfsls', ['-R', '-F', volume], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  const files: Record<string, string> = {};
  let below = '';
  for (const line of listed.split('\n')) {
    const heading = /^(\/.*):$/.exec(line)?.[1];
    if (heading !== undefined) below = heading.replace(/^\/|\/$/g, '');
    else if (line !== '' && !line.endsWith('/')) {
      const path = below === '' ? line : `${below}/${line}`;
      files[path.toLowerCase()] = fileOn(volume, path)?.toString('latin1') ?? '';
    }
  }
  return files;
}

/** Whether programs of this host find the volume sound: its clusters, its table and the copy of that. */
export function isSound(volume: string): boolean {
  execFileSync('ntfsresize', ['--info', '--no-progress-bar', volume], { stdio: 'ignore' });
  return execFileSync('ntfsfix', ['--no-action', volume], { encoding: 'utf8' }).includes(
    'processed successfully',
  );
}

/** Writes to the system's volume at an offset in it. */
export function patchVolume(disk: string, layout: WindowsLayout, patch: (volume: Buffer) => void): void {
  const content = readFileSync(disk);
  const { at, size } = layout.system;
  patch(content.subarray(at * MIB, (at + size) * MIB));
  writeFileSync(disk, content);
}
