import { execFileSync } from 'node:child_process';
import { guestAdapter } from '../../guest/adapter';
import { openApplianceSystem } from '../../guest/disk/appliance-system';
import { withGuest } from '../../guest/files/open-guest';
import { GuestNotAdaptableError } from '../../guest/port';
import { emptyDisk, mount, onDisks, removeDisks, treeDisk } from './appliance-fixture';
import {
  debian,
  DRACUT,
  initramfs,
  KERNEL,
  listing,
  makeGuest,
  removeFixtures,
  ROOT_UUID,
  type Tree,
  unpack,
} from './guest-fixture';
import { IMAGE, rocky } from './guest-rocky';
import { partition } from '../support/partition';

// Each appliance is a machine that boots, in two to four seconds on an idle host without KVM.
jest.setTimeout(240_000);
afterAll(() => {
  removeDisks();
  removeFixtures();
});

const adapter = guestAdapter();
const BOOT_XFS = '55555555-5555-4555-8555-555555555555';
const LVM = '/bin/lvm';

let made: { system: string; data: string } | undefined;

/** Disks of one's own, of a guest that is made once. */
async function rhelLike(): Promise<{ system: string; data: string }> {
  made ??= await makeRhelLike();
  const copy = (disk: string): string => {
    const path = emptyDisk(0);
    execFileSync('cp', ['--sparse=always', disk, path]);
    return path;
  };
  return { system: copy(made.system), data: copy(made.data) };
}

/** RHEL-like: /boot on xfs in a partition, the system on xfs on LVM that a second disk is a part of. */
async function makeRhelLike(): Promise<{ system: string; data: string }> {
  const system = emptyDisk(800);
  partition(system, 'label: dos\nstart=2048, size=700416, type=83, bootable\ntype=8e\n');
  const data = emptyDisk(128);
  const { boot, rest } = split(
    debian(
      rocky({
        'etc/fstab': `/dev/mapper/rhel-root / xfs defaults 0 0\nUUID=${BOOT_XFS} /boot xfs defaults 0 0\n`,
        'etc/lvm/lvm.conf': 'devices {\n\tfilter = [ "a|^/dev/sd.*|", "r|.*|" ]\n}\n',
        [IMAGE.slice(1)]: initramfs(undefined, undefined, DRACUT),
      }),
    ),
  );
  await onDisks(
    [system, data, treeDisk(rest, '.'), treeDisk(boot, '.')],
    [
      ['/bin/mkfs.xfs', '-q', '-m', `uuid=${BOOT_XFS}`, '/dev/nvme0n1p1'],
      [LVM, 'pvcreate', '/dev/nvme0n1p2', '/dev/nvme0n2'],
      [LVM, 'vgcreate', 'rhel', '/dev/nvme0n1p2', '/dev/nvme0n2'],
      [LVM, 'lvcreate', '-y', '-n', 'root', '-l', '100%FREE', 'rhel'],
      ['/bin/mkfs.xfs', '-q', '/dev/rhel/root'],
      ...mount('xfs', '/dev/rhel/root', '/guest/x'),
      ['/bin/tar', '-xf', '/dev/nvme0n3', '-C', '/guest/x'],
      ['/applets/mkdir', '-p', '/guest/x/boot'],
      ...mount('xfs', '/dev/nvme0n1p1', '/guest/x/boot'),
      ['/bin/tar', '-xf', '/dev/nvme0n4', '-C', '/guest/x/boot'],
      ['/bin/busybox', 'umount', '/guest/x/boot'],
      ['/bin/busybox', 'umount', '/guest/x'],
      [LVM, 'vgchange', '-an'],
    ],
  );
  return { system, data };
}

function split(tree: Tree): { boot: Tree; rest: Tree } {
  const entries = Object.entries(tree);
  const isBoot = ([name]: [string, unknown]): boolean => name.startsWith('boot/');
  return {
    boot: Object.fromEntries(entries.filter(isBoot).map(([name, content]) => [name.slice(5), content])),
    rest: Object.fromEntries(entries.filter((one) => !isBoot(one))),
  };
}

/** Files of a guest as they are, read by an appliance that changes nothing. */
async function readFiles(
  disks: { system: string; data: string },
  paths: string[],
): Promise<Record<string, Buffer | undefined>> {
  const others = { dataDisks: [{ diskPath: disks.data, slot: 1 }] };
  const system = await openApplianceSystem(disks.system, others, 'look');
  try {
    return await withGuest(system.openReadOnly, async (files) => {
      const found: Record<string, Buffer | undefined> = {};
      for (const path of paths)
        found[path] =
          (await files.realpath(path)) === undefined ? undefined : await files.read(path, 2 ** 20);
      return found;
    });
  } finally {
    await system.abandon();
  }
}

const LOOKED_AT = [
  ...['/etc/fstab', '/etc/hosts', '/etc/lvm/lvm.conf', '/etc/default/grub', '/etc/resolv.conf', IMAGE],
  '/boot/grub2/grubenv',
];

describe('a guest of dracut on xfs and LVM', () => {
  it('is adapted by the appliance, comes home as it was, and is found sound each time', async () => {
    const disks = await rhelLike();
    const before = await readFiles(disks, LOOKED_AT);
    const dataDisks = [{ diskPath: disks.data, slot: 1 }];
    const report = await adapter.adaptForRecoverySite({
      diskPath: disks.system,
      dataDisks,
      bootScripts: [],
      hosts: [],
      runId: 'run-1',
    });
    expect(report.family).toBe('Rocky Linux 9 (dracut)');
    expect(report.modules).toEqual(expect.arrayContaining(['nvme', 'ena']));
    const adapted = await readFiles(disks, [...LOOKED_AT, '/etc/dracut.conf.d/90-lifeboat.conf']);
    const image = adapted[IMAGE]!;
    const original = before[IMAGE]!;
    expect(image.subarray(0, original.length).equals(original)).toBe(true);
    const file = unpack(image.subarray(image.indexOf('070701', original.length)));
    expect(file('lifeboat/02-nvme.ko')).toBe('code of nvme');
    expect(adapted['/etc/fstab']).toEqual(before['/etc/fstab']);
    expect(adapted['/etc/lvm/lvm.conf']?.toString()).toContain('nvme');
    expect(adapted['/etc/dracut.conf.d/90-lifeboat.conf']?.toString()).toContain('nvme');

    const home = await adapter.revertForPrimarySite(disks.system, { slot: 0, dataDisks });
    expect(home.changed).toContain(IMAGE);
    expect(await readFiles(disks, LOOKED_AT)).toEqual(before);
    expect((await adapter.revertForPrimarySite(disks.system, { slot: 0, dataDisks })).changed).toEqual([]);
  });

  it('is told what is missing where a disk of its volume group is not there', async () => {
    const { system } = await rhelLike();
    const failure = adapter.adaptForRecoverySite({
      diskPath: system,
      dataDisks: [],
      bootScripts: [],
      hosts: [],
      runId: 'run-1',
    });
    await expect(failure).rejects.toThrow(GuestNotAdaptableError);
    await expect(failure).rejects.toThrow(/No file system of the guest has \/etc\/fstab.*LVM2_member/s);
  });
});

describe('a guest on ext4 with /var on a volume of LVM', () => {
  it('is opened by the appliance for that alone', async () => {
    const system = makeGuest({
      'etc/fstab': `UUID=${ROOT_UUID} / ext4 defaults 0 1\n/dev/vg0/var /var xfs defaults 0 2\n`,
    });
    const data = emptyDisk(400);
    await onDisks(
      [data],
      [
        [LVM, 'pvcreate', '/dev/nvme0n1'],
        [LVM, 'vgcreate', 'vg0', '/dev/nvme0n1'],
        [LVM, 'lvcreate', '-y', '-n', 'var', '-l', '100%FREE', 'vg0'],
        ['/bin/mkfs.xfs', '-q', '/dev/vg0/var'],
        [LVM, 'vgchange', '-an'],
      ],
    );
    const dataDisks = [{ diskPath: data, slot: 1 }];
    const report = await adapter.adaptForRecoverySite({
      diskPath: system,
      dataDisks,
      bootScripts: [],
      hosts: [],
      runId: 'run-1',
    });
    expect(report.kernels).toEqual([KERNEL]);
    const record = '/var/lib/lifeboat/run-boot-scripts';
    const found = await readFiles({ system, data }, [record]);
    expect(found[record]).toBeDefined();
    // It is on the volume, and not below the directory that the volume hides.
    expect(listing(system)[record]).toBeUndefined();
    await adapter.revertForPrimarySite(system, { slot: 0, dataDisks });
    expect((await readFiles({ system, data }, [record]))[record]).toBeUndefined();
  });
});
