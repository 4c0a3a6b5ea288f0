import { closeSync, openSync, readFileSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import { Appliance } from '../../guest/files/appliance/appliance';
import { ApplianceGuest } from '../../guest/files/appliance/guest';
import { findVolume } from '../../guest/files/appliance/volumes';
import { type GuestFileSystem } from '../../guest/files/file-system';
import { GuestNotAdaptableError } from '../../guest/port';
import { endFuseExport, startFuseExport } from '../../machines/fuse-export';
import { emptyDisk, onDisks, removeDisks } from './appliance-fixture';

// Each appliance is a machine that boots, in two to four seconds on an idle host without KVM.
jest.setTimeout(180_000);
afterAll(removeDisks);

const OWNED = { uid: 7, gid: 8, mode: 0o640, modifiedAt: 1_700_000_000 };

/** Opens a volume by one of its names, works on its files, and ends as a run does. */
async function onVolume<T>(
  paths: string[],
  name: string,
  work: (files: GuestFileSystem, guest: ApplianceGuest) => Promise<T>,
  subvolume?: string,
): Promise<T> {
  const guest = await ApplianceGuest.start(paths, 'write');
  try {
    const volume = findVolume(guest.volumes, name);
    if (volume === undefined) throw new Error(`${name} is not there: ${JSON.stringify(guest.volumes)}`);
    const result = await work(await guest.mount(volume, subvolume), guest);
    await guest.finish();
    return result;
  } finally {
    await guest.kill();
  }
}

const LVM = '/bin/lvm';

describe('the appliance', () => {
  const first = emptyDisk(320);
  const second = emptyDisk(128);

  it('opens xfs on a volume of LVM that two disks share, by any of its names', async () => {
    await onDisks(
      [first, second],
      [
        [LVM, 'pvcreate', '/dev/nvme0n1', '/dev/nvme0n2'],
        [LVM, 'vgcreate', 'rhel-9', '/dev/nvme0n1', '/dev/nvme0n2'],
        [LVM, 'lvcreate', '-y', '-n', 'root', '-l', '100%FREE', 'rhel-9'],
        ['/bin/mkfs.xfs', '-q', '-L', 'system', '/dev/rhel-9/root'],
      ],
    );
    await onVolume([first, second], '/dev/rhel-9/root', async (files) => {
      await files.mkdir('/etc', { ...OWNED, mode: 0o755 });
      await files.create('/etc/fstab', Buffer.from('/dev/mapper/rhel--9-root / xfs\n'), OWNED);
      await files.symlink('/link', 'etc/fstab');
    });
    await onVolume([second, first], '/dev/mapper/rhel--9-root', async (files) => {
      expect(await files.stat('/etc/fstab')).toMatchObject({ ...OWNED, type: 'file', size: 31 });
      expect((await files.content('/etc/fstab', 1000)).toString()).toBe('/dev/mapper/rhel--9-root / xfs\n');
      expect(await files.readlink('/link')).toBe('etc/fstab');
      expect(await files.list('/')).toEqual(['etc', 'link']);
      expect(await files.stat('/absent')).toBeUndefined();
      await expect(files.content('/etc/fstab', 10)).rejects.toThrow(/larger than 10 bytes/);
    });
    await onVolume([first, second], 'LABEL=system', async (files, { volumes }) => {
      const volume = findVolume(volumes, '/dev/rhel-9/root');
      const byIds = `/dev/disk/by-id/dm-uuid-LVM-${volume?.lvm?.groupId}${volume?.lvm?.volumeId}`;
      expect(byIds).toMatch(/-LVM-\w{64}$/);
      expect(findVolume(volumes, byIds)).toBe(volume);
      await files.replace('/etc/fstab', Buffer.from('short'), OWNED);
      await files.remove('/link', 'symlink');
      expect(await files.list('/')).toEqual(['etc']);
      expect((await files.space()).freeBlocks).toBeGreaterThan(1000);
    });
  });

  it('leaves the disks alone where it only looks', async () => {
    const before = readFileSync(first);
    const guest = await ApplianceGuest.start([first, second], 'look');
    try {
      const volume = findVolume(guest.volumes, '/dev/rhel-9/root');
      const files = await guest.mount(volume!);
      await files.create('/scratch', Buffer.from('x'), OWNED);
      expect((await files.content('/etc/fstab', 100)).toString()).toBe('short');
    } finally {
      await guest.kill();
    }
    expect(readFileSync(first).equals(before)).toBe(true);
  });

  it('waits for every one of many disks', async () => {
    const disks = Array.from({ length: 40 }, () => emptyDisk(1));
    // One page of a swap area is all that libblkid asks for.
    const swap = Buffer.alloc(4096);
    swap.write('SWAPSPACE2', 4086);
    swap.writeUInt32LE(1, 1024);
    swap.writeUInt32LE(255, 1028);
    for (const disk of disks) {
      const file = openSync(disk, 'r+');
      writeSync(file, swap);
      closeSync(file);
    }
    const guest = await ApplianceGuest.start(disks, 'look');
    await guest.kill();
    expect(guest.volumes.map(({ type }) => type)).toEqual(disks.map(() => 'swap'));
  });

  it('replays the log of a machine that lost its power', async () => {
    const disk = emptyDisk(320);
    await onDisks([disk], [['/bin/mkfs.xfs', '-q', '/dev/nvme0n1']]);
    await onDisks(
      [disk],
      [
        ['/applets/modprobe', 'xfs'],
        ['/applets/mkdir', '/guest/x'],
        ['/bin/busybox', 'mount', '-t', 'xfs', '/dev/nvme0n1', '/guest/x'],
        ['/applets/cp', '/init', '/guest/x/late'],
        ['/applets/mv', '/guest/x/late', '/guest/x/renamed'],
        // On the disk, and not yet where it belongs: in the log.
        ['/applets/sync'],
      ],
      'cut',
    );
    const guest = await ApplianceGuest.start([disk], 'write');
    const [volume] = guest.volumes;
    const files = await guest.mount(volume!);
    expect(await files.list('/')).toEqual(['renamed']);
    await guest.finish();
  });

  it('opens subvolumes of btrfs, the default one where none is named', async () => {
    const disk = emptyDisk(320);
    await onDisks(
      [disk],
      [
        ['/bin/mkfs.btrfs', '-q', '-U', '44444444-4444-4444-8444-444444444444', '/dev/nvme0n1'],
        ['/applets/modprobe', 'btrfs'],
        ['/applets/mkdir', '/guest/x'],
        ['/bin/busybox', 'mount', '-t', 'btrfs', '/dev/nvme0n1', '/guest/x'],
        ['/bin/btrfs', 'subvolume', 'create', '/guest/x/@'],
        ['/bin/btrfs', 'subvolume', 'create', '/guest/x/@/var'],
        ['/bin/btrfs', 'subvolume', 'set-default', '/guest/x/@'],
        ['/applets/touch', '/guest/x/@/here', '/guest/x/@/var/there'],
        ['/bin/busybox', 'umount', '/guest/x'],
      ],
    );
    const name = 'UUID=44444444-4444-4444-8444-444444444444';
    expect(await onVolume([disk], name, (files) => files.list('/'))).toEqual(['here', 'var']);
    const names = await onVolume([disk], name, (files) => files.list('/'), '@/var');
    expect(names).toEqual(['there']);
  });

  it('keeps what belongs to a file that gets other content, and labels new ones as their directory', async () => {
    const disk = emptyDisk(64);
    const label = 'system_u:object_r:etc_t:s0';
    const set = (path: string, value: string) => [
      '/bin/setfattr',
      '-n',
      'security.selinux',
      '-v',
      value,
      path,
    ];
    await onDisks(
      [disk],
      [
        ['/bin/mke2fs', '-q', '-t', 'ext4', '-L', 'labelled', '/dev/nvme0n1'],
        ['/applets/modprobe', 'ext4'],
        ['/applets/mkdir', '/guest/x'],
        ['/bin/busybox', 'mount', '-t', 'ext4', '/dev/nvme0n1', '/guest/x'],
        ['/applets/mkdir', '/guest/x/etc'],
        ['/applets/touch', '/guest/x/etc/hosts'],
        set('/guest/x/etc', label),
        set('/guest/x/etc/hosts', 'system_u:object_r:net_conf_t:s0'),
        ['/bin/busybox', 'umount', '/guest/x'],
      ],
    );
    await onVolume([disk], 'LABEL=labelled', async (files) => {
      await files.replace('/etc/hosts', Buffer.from('new'), OWNED);
      await files.create('/etc/added', Buffer.from('added'), OWNED);
    });
    const get = ['/bin/getfattr', '--absolute-names', '-n', 'security.selinux', '--only-values'];
    const appliance = await Appliance.start([disk], 'look');
    try {
      for (const command of [
        ['/applets/modprobe', 'ext4'],
        ['/applets/mkdir', '/guest/x'],
        ['/bin/busybox', 'mount', '-t', 'ext4', '/dev/nvme0n1', '/guest/x'],
      ])
        await appliance.run(command, 60);
      const of = async (path: string) => (await appliance.run([...get, path], 60)).stdout;
      expect(await of('/guest/x/etc/hosts')).toContain('net_conf_t');
      expect(await of('/guest/x/etc/added')).toContain('etc_t');
    } finally {
      await appliance.kill();
    }
  });

  (process.getuid?.() === 0 ? it : it.skip)(
    'writes disks whose length is no whole block of the file system that they are on (needs root for FUSE)',
    async () => {
      const system = emptyDisk(320);
      // As a VMDK may have it: a multiple of 512 bytes. FUSE takes direct access in units of 4096 only.
      const odd = { pidFile: `${system}.pid`, path: `${system}.odd`, bytes: 5103 * 512 };
      writeFileSync(`${system}.behind`, Buffer.alloc(odd.bytes));
      writeFileSync(odd.path, '');
      const node = { driver: 'raw', file: { driver: 'file', filename: `${system}.behind` } };
      await startFuseExport({ ...odd, node, writable: true });
      try {
        await onDisks(
          [system, odd.path],
          [['/applets/sh', '-c', 'printf abc | /applets/dd of=/dev/nvme0n2 bs=1 seek=2612000 conv=notrunc']],
        );
        const written = readFileSync(odd.path);
        expect(written).toHaveLength(odd.bytes);
        expect(written.subarray(2612000, 2612003).toString()).toBe('abc');
      } finally {
        await endFuseExport(odd.pidFile, odd.path);
        for (const file of [odd.path, `${system}.behind`]) rmSync(file);
      }
    },
  );

  it('says how it has ended where that was not asked for', async () => {
    const appliance = await Appliance.start([emptyDisk(8)], 'look');
    try {
      const asked = appliance.run(['/applets/sleep', '60'], 120);
      process.kill(appliance.pid ?? 0, 'SIGKILL');
      await expect(asked).rejects.toThrow(/has gone \(QEMU ended with SIGKILL\)/);
    } finally {
      await appliance.kill();
    }
  });

  it('tells a damaged file system from a host that lacks something', async () => {
    const disk = emptyDisk(320);
    await onDisks([disk], [['/bin/mkfs.xfs', '-q', '/dev/nvme0n1']]);
    const file = openSync(disk, 'r+');
    // The inode of the root directory is in the first blocks of the first allocation group.
    for (let at = 4096; at < 8 * 1024 * 1024; at += 4096)
      writeSync(file, Buffer.alloc(512, 0x5a), 0, 512, at);
    closeSync(file);
    const guest = await ApplianceGuest.start([disk], 'write');
    try {
      const failure = guest.mount(guest.volumes[0]!);
      await expect(failure).rejects.toThrow(GuestNotAdaptableError);
      await expect(failure).rejects.toThrow(/cannot be mounted: .*xfs_repair/s);
    } finally {
      await guest.kill();
    }
    await expect(Appliance.start([disk], 'look', { directory: '/nowhere' })).rejects.toThrow(
      /there is no \/nowhere\/kernel on this host.*Run "node setup\/appliance\.mjs"/,
    );
  });
});
