import { guestAdapter } from '../../guest/adapter';
import { findLayout } from '../../guest/disk/layout';
import { plainSource } from '../../guest/disk/plain-source';
import { openSystem } from '../../guest/disk/system-mounts';
import { type RecoverySiteAdaptation } from '../../guest/port';
import {
  debugfs,
  digestBesidesSuperblock,
  INITRAMFS,
  initramfs,
  KERNEL,
  listing,
  makeGuest,
  read,
  removeFixtures,
  ROOT_UUID,
  text,
  write,
} from './guest-fixture';

const adapter = guestAdapter();
const NO_DATA = { 'etc/fstab': `UUID=${ROOT_UUID} / ext4 defaults 0 1\n` };
const MANIFEST = '/var/lib/lifeboat/adaptation.json';
const adapt = (diskPath: string, more: Partial<RecoverySiteAdaptation> = {}) =>
  adapter.adaptForRecoverySite({
    diskPath,
    dataDisks: [],
    bootScripts: [],
    hosts: [],
    runId: 'run-1',
    ...more,
  });

/** That an adaptation is refused, with nothing changed. */
async function expectRefused(disk: string, message: RegExp): Promise<void> {
  const before = digestBesidesSuperblock(disk);
  await expect(adapt(disk)).rejects.toThrow(message);
  expect(digestBesidesSuperblock(disk)).toBe(before);
}

afterAll(removeFixtures);

describe('a hostile guest', () => {
  it('whose links lead to the host gets its own files changed', async () => {
    const disk = makeGuest({ ...NO_DATA, 'etc/hosts': undefined, hosts: '127.0.0.1 localhost\n' });
    debugfs(disk, ['symlink /etc/hosts ../../../../../../hosts']);
    await adapt(disk, { hosts: [{ address: '10.0.1.30', names: ['db'] }] });
    expect(text(disk, '/hosts')).toContain('10.0.1.30 db');
    expect(listing(disk)['/etc/hosts']).toMatch(/^link /);
  });

  it('whose /etc is a link to its root is read like any other', async () => {
    const tree = Object.entries(NO_DATA).map(
      ([path, content]) => [path.slice('etc/'.length), content] as const,
    );
    const disk = makeGuest({ ...Object.fromEntries(tree), ...flattened(), etc: { link: '/' } });
    await adapt(disk);
    expect(text(disk, '/resolv.conf')).toContain('169.254.169.253');
    await adapter.revertForPrimarySite(disk);
    expect(text(disk, '/resolv.conf')).not.toContain('169.254.169.253');
  });

  it('whose links lead in a circle is refused', async () => {
    const disk = makeGuest({ ...NO_DATA, 'etc/hosts': { link: 'hosts2' }, 'etc/hosts2': { link: 'hosts' } });
    await expectRefused(disk, /too many symbolic links/);
  });

  it('with a manifest of ours in the wrong place is refused', async () => {
    await expectRefused(
      makeGuest({ ...NO_DATA, 'var/lib/lifeboat/run-boot-scripts': '' }),
      /already has .*run-boot-scripts/,
    );
  });

  it.each([
    [
      'needs itself',
      'kernel/a/nvme.ko: kernel/b.ko\nkernel/b.ko: kernel/a/nvme.ko\nkernel/ena.ko:\n',
      /needs itself/,
    ],
    ['leads out of its directory', 'kernel/../../../etc/nvme.ko:\nkernel/ena.ko:\n', /cannot be a module/],
    ['has quotes', 'kernel/ena.ko:\nkernel/nvme.ko: kernel/"x.ko\n', /cannot be a module/],
    ['needs everything', `kernel/ena.ko:\nkernel/nvme.ko: ${numbered()}\n`, /more than 64 modules/],
    ['lacks a driver', 'kernel/nvme.ko:\n', /has no ena, without which it does not run on EC2/],
    ['names what is missing', 'kernel/nvme.ko:\nkernel/ena.ko:\n', /nvme\.ko in the guest: is missing/],
  ])('whose modules.dep %s is refused', async (_, dep, message) => {
    await expectRefused(makeGuest({ ...NO_DATA, [`usr/lib/modules/${KERNEL}/modules.dep`]: dep }), message);
  });

  it('with a configuration file of many megabytes is refused', async () => {
    await expectRefused(
      makeGuest({ ...NO_DATA, 'etc/hosts': Buffer.alloc(3 * 1024 * 1024, 'x') }),
      /not believed/,
    );
  });

  it('with a directory where a file should be is refused', async () => {
    await expectRefused(
      makeGuest({ ...NO_DATA, 'etc/hosts': undefined, 'etc/hosts/x': '' }),
      /is no regular file/,
    );
  });

  it('that fills its disk is refused before anything is written', async () => {
    const disk = makeGuest(NO_DATA);
    const free = Number(/Free blocks:\s+(\d+)/.exec(debugfs(disk, ['stats -h']))?.[1]);
    write(disk, '/var/fill', Buffer.alloc((free - 40) * 1024, 1));
    await expectRefused(disk, /too full: .* are free\. Make room/);
  });

  it('cannot speak for debugfs by the names of its files', async () => {
    const disk = makeGuest(NO_DATA);
    const layout = await findLayout(disk);
    const source = plainSource({ diskPath: disk, offset: layout.root.offset });
    const files = await openSystem([{ mountPoint: '/', source }], true);
    try {
      await expect(files.read('/etc/x"\nrm "/etc/fstab', 100)).rejects.toThrow(/not supported/);
      await expect(files.write('/etc/a\u0000b', Buffer.from(''))).rejects.toThrow(/not supported/);
      await expect(files.stat('/etc/#x !id <12>')).resolves.toBeUndefined();
    } finally {
      await files.close();
    }
  });

  it.each([
    ['a path with ..', { kind: 'added', path: '/etc/netplan/../passwd.yaml', sha256: '0'.repeat(64) }],
    [
      'a path of the guest',
      { kind: 'replaced', path: '/etc/shadow', sha256: '0'.repeat(64), original: '0'.repeat(64) },
    ],
    ['a directory of the guest', { kind: 'directory', path: '/root' }],
    [
      'a kernel with a slash',
      {
        kind: 'initramfs',
        path: '/boot/initrd.img-../x',
        originalBytes: 0,
        segmentBytes: 1,
        sha256: '0'.repeat(64),
      },
    ],
    [
      'a negative length',
      { kind: 'initramfs', path: INITRAMFS, originalBytes: -1, segmentBytes: 1, sha256: '0'.repeat(64) },
    ],
  ])('that wrote %s into the manifest is refused, both ways', async (_, change) => {
    const disk = makeGuest({
      ...NO_DATA,
      [MANIFEST.slice(1)]: JSON.stringify({
        version: 1,
        state: 'applied',
        family: 'x',
        runId: 'x',
        changes: [change],
      }),
    });
    await expectRefused(disk, /adaptation\.json in the guest .* damaged/);
    const before = digestBesidesSuperblock(disk);
    await expect(adapter.revertForPrimarySite(disk)).rejects.toThrow(/damaged/);
    expect(digestBesidesSuperblock(disk)).toBe(before);
  });

  it('that claims an initramfs was extended keeps it whole', async () => {
    const size = read(makeGuest(NO_DATA), INITRAMFS).length;
    const change = {
      kind: 'initramfs',
      path: INITRAMFS,
      originalBytes: 10,
      segmentBytes: size - 10,
      sha256: '0'.repeat(64),
    };
    const disk = makeGuest({
      ...NO_DATA,
      [MANIFEST.slice(1)]: JSON.stringify({
        version: 1,
        state: 'applied',
        family: 'x',
        runId: 'x',
        changes: [change],
      }),
    });
    const before = read(disk, INITRAMFS);
    await adapter.revertForPrimarySite(disk);
    expect(read(disk, INITRAMFS).equals(before)).toBe(true);
  });
});

describe('what comes from a plan', () => {
  const disk = makeGuest(NO_DATA);
  it.each([
    ['a host name with a line end', { hosts: [{ address: '10.0.1.30', names: ['db\n1.2.3.4 bank'] }] }],
    ['an address that is none', { hosts: [{ address: '$(id)', names: ['db'] }] }],
    ['a script with a path', { bootScripts: [{ name: '../x', content: Buffer.from('') }] }],
    ['a run id with a path', { runId: '../x' }],
  ])('is checked: %s', async (_, more) => {
    await expect(adapt(disk, more)).rejects.toThrow(/is no /);
  });

  it('is refused where the guest could not run it, as a script for Windows', async () => {
    const bootScripts = [{ name: 'hello.ps1', content: Buffer.from('Write-Output hello\r\n') }];
    await expect(adapt(disk, { bootScripts })).rejects.toThrow(
      /Linux, which has no way to run .*"hello\.ps1"/,
    );
  });
});

describe('a guest of another family', () => {
  it.each([
    [
      'mkinitcpio, by its image',
      { [INITRAMFS.slice(1)]: initramfs([], undefined, { buildconfig: '' }) },
      /made by mkinitcpio/,
    ],
    [
      'mkinitcpio, by its package',
      { [INITRAMFS.slice(1)]: undefined, 'usr/bin/mkinitcpio': '' },
      /initramfs in \/boot .* made by mkinitcpio/,
    ],
    [
      'one that nobody knows',
      { [INITRAMFS.slice(1)]: initramfs([], undefined, { init: '' }) },
      /by an unknown program/,
    ],
    [
      'unified kernel images',
      { [INITRAMFS.slice(1)]: undefined, 'etc/kernel/install.conf': 'layout=uki\n' },
      /unified kernel images .* on the EFI system partition/,
    ],
    [
      'extlinux',
      { 'boot/grub/grub.cfg': undefined, 'boot/extlinux/extlinux.conf': '' },
      /seems to boot by extlinux/,
    ],
    [
      'systemd-boot on SUSE',
      { 'boot/grub/grub.cfg': undefined, 'etc/sysconfig/bootloader': 'LOADER_TYPE="systemd-boot"\n' },
      /seems to boot by systemd-boot/,
    ],
  ])('is named: %s', async (_, tree, message) => {
    await expectRefused(makeGuest({ ...NO_DATA, ...tree }), message);
  });

  it('that does not start with systemd is named', async () => {
    await expectRefused(makeGuest({ ...NO_DATA, 'usr/sbin/init': 'busybox' }), /does not start with systemd/);
  });
});

function numbered(): string {
  return Array.from({ length: 100 }, (_, index) => `kernel/m${index}.ko`).join(' ');
}

/** The files of /etc moved to the root, for the guest whose /etc leads there. */
function flattened(): Record<string, string | undefined> {
  return {
    'etc/os-release': undefined,
    'os-release': 'PRETTY_NAME="Debian"\n',
    'etc/initramfs-tools/modules': undefined,
    'etc/fstab': undefined,
    'etc/hosts': undefined,
    'etc/resolv.conf': undefined,
    'resolv.conf': 'nameserver 192.168.10.1\n',
    'etc/default/grub': undefined,
    'etc/systemd/network/10-ens192.network': undefined,
    'etc/systemd/network/20-lo.network': undefined,
    'etc/systemd/system/multi-user.target.wants/systemd-networkd.service': undefined,
    'etc/udev/rules.d/70-persistent-net.rules': undefined,
  };
}
