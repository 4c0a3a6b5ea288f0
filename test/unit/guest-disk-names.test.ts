import { execFileSync, spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { guestAdapter } from '../../guest/adapter';
import { DeviceNames } from '../../guest/disk/device-names';
import { parseDiskName } from '../../guest/disk/disk-name';
import { type RecoverySiteAdaptation } from '../../guest/port';
import {
  BOOT_UUID,
  DATA_UUID,
  debian,
  debugfs,
  INITRAMFS,
  listing,
  makeDataDisk,
  makeDisk,
  makeGuest,
  newPath,
  poke,
  read,
  removeFixtures,
  ROOT_UUID,
  text,
  type Tree,
} from './guest-fixture';
import { changePartition, partition } from '../support/partition';

const MIB = 1024 * 1024;
const adapter = guestAdapter();
const adapt = async (diskPath: string, more: Partial<RecoverySiteAdaptation> = {}) => {
  const report = await adapter.adaptForRecoverySite({
    diskPath,
    dataDisks: [],
    bootScripts: [],
    hosts: [],
    runId: 'run-1',
    ...more,
  });
  // The fixture's network has a warning of its own.
  return { ...report, warnings: report.warnings.filter((one) => !one.includes('network card dummy0')) };
};
const ROOT_LINE = `UUID=${ROOT_UUID} / ext4 defaults 0 1\n`;
const SWAP_UUID = '44444444-4444-4444-8444-444444444444';

afterAll(removeFixtures);

/** A guest with a data disk in slot 1, and what became of its fstab. */
async function fstabOf(
  lines: string,
  more: Record<string, string> = {},
  dataDisks = [{ diskPath: makeDataDisk(), slot: 1 }],
): Promise<{ fstab: string; warnings: string[]; disk: string }> {
  const disk = makeGuest({ 'etc/fstab': ROOT_LINE + lines, ...more });
  const { warnings } = await adapt(disk, { dataDisks });
  const fstab = text(disk, '/etc/fstab');
  expectReadable(fstab);
  await adapter.revertForPrimarySite(disk, { dataDisks });
  expect(text(disk, '/etc/fstab')).toBe(ROOT_LINE + lines);
  return { fstab, warnings, disk };
}

/** That mount itself reads every line of an fstab. */
function expectReadable(fstab: string): void {
  const path = newPath();
  writeFileSync(path, fstab);
  const { stderr } = spawnSync('findmnt', ['--verify', '--tab-file', path], { encoding: 'utf8' });
  expect(stderr).toMatch(/\b0 parse errors/);
}

/** Lines that count, without comments. */
function counting(fstab: string): string {
  return fstab
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#') && line !== ROOT_LINE.trim())
    .join('\n');
}

function swapArea(uuid: string | undefined, mib = 2): Buffer {
  const path = newPath();
  execFileSync('truncate', ['-s', `${mib}M`, path]);
  execFileSync('mkswap', uuid === undefined ? [path] : ['-U', uuid, path], { stdio: 'ignore' });
  const content = readFileSync(path);
  // The UUID's place in the header of a swap area (linux/swap.h).
  if (uuid === undefined) content.fill(0, 1036, 1052);
  return content;
}

describe('a name of a disk', () => {
  it.each([
    ['/dev/sda1', { kind: 'place', place: { by: 'letter', index: 0 }, partition: 1 }],
    ['/dev/sdaa', { kind: 'place', place: { by: 'letter', index: 26 }, partition: undefined }],
    ['/dev/xvdb2', { kind: 'place', place: { by: 'letter', index: 1 }, partition: 2 }],
    ['8:17', { kind: 'place', place: { by: 'letter', index: 1 }, partition: 1 }],
    ['65:1', { kind: 'place', place: { by: 'letter', index: 16 }, partition: 1 }],
    ['/dev/nvme0n2p1', { kind: 'place', place: { by: 'nvme', controller: 0, namespace: 2 }, partition: 1 }],
    [
      '/dev/disk/by-path/pci-0000:03:00.0-scsi-0:0:1:0-part1',
      { kind: 'place', place: { by: 'slot', slot: 1 }, partition: 1 },
    ],
    [
      '/dev/disk/by-path/pci-0000:03:00.0-sas-phy2-lun-0',
      { kind: 'place', place: { by: 'slot', slot: 2 }, partition: undefined },
    ],
    [
      '/dev/disk/by-path/pci-0000:02:03.0-ata-1.0-part2',
      { kind: 'place', place: { by: 'slot', slot: 0 }, partition: 2 },
    ],
    [
      '/dev/disk/by-path/pci-0000:03:00.0-scsi-0:0:1:0-part/by-uuid/ab-cd',
      { kind: 'tag', tag: 'UUID', value: 'ab-cd' },
    ],
    ['/dev/disk/by-path/ip-10.0.0.1:3260-iscsi-iqn.x-lun-0', { kind: 'place', place: { by: 'other' } }],
    [
      '/dev/disk/by-id/scsi-36000c29a5b3f4f1d9d5c000000000001-part1',
      { kind: 'hardware', id: 'wwn-6000c29a5b3f4f1d9d5c000000000001', partition: 1 },
    ],
    ['ID=wwn-0x6000C29A5B3F4F1D', { kind: 'hardware', id: 'wwn-6000c29a5b3f4f1d' }],
    ['/dev/disk/by-id/scsi-SVMware_Virtual_disk_6000c29-part3', { kind: 'hardware', partition: 3 }],
    ['/dev/disk/by-id/ata-VMware_Virtual_SATA_Hard_Drive_0001-part1', { kind: 'hardware', partition: 1 }],
    ['/dev/disk/by-id/nvme-VMware_Virtual_NVMe_Disk_1', { kind: 'hardware' }],
    ['/dev/mapper/mpathb-part1', { kind: 'hardware', id: 'mpathb', partition: 1 }],
    [
      '/dev/disk/by-id/dm-uuid-part1-mpath-36000c29a5b3f4f1d',
      { kind: 'hardware', id: 'wwn-6000c29a5b3f4f1d', partition: 1 },
    ],
    [`/dev/disk/by-id/dm-uuid-LVM-${'a'.repeat(64)}`, { kind: 'made', by: { type: 'volumeId' } }],
    ['/dev/disk/by-id/dm-name-vg-lv', { kind: 'made', by: { type: 'mapper', name: 'vg-lv' } }],
    ['/dev/disk/by-id/md-uuid-1:2:3:4-part1', { kind: 'made' }],
    ['/dev/disk/by-id/lvm-pv-uuid-x', { kind: 'made' }],
    ['/dev/vg0/data', { kind: 'made', by: { type: 'volume', group: 'vg0', volume: 'data' } }],
    ['/dev/md0p1', { kind: 'made' }],
    ['/dev/md/raid', { kind: 'made' }],
    ['LABEL="my\\040disk"', { kind: 'tag', tag: 'LABEL', value: 'my disk' }],
    ['"LABEL=a"', { kind: 'tag', tag: 'LABEL', value: 'a' }],
    ['/dev/disk/by-label/my\\x20disk', { kind: 'tag', tag: 'LABEL', value: 'my disk' }],
    ['PARTUUID=1234abcd-01', { kind: 'tag', tag: 'PARTUUID', value: '1234abcd-01' }],
    ['PARTUUID=1234abcd-01/PARTNROFF=1', { kind: 'tag', tag: 'PARTUUID', value: '1234abcd-01' }],
    ['/dev/cdrom', { kind: 'removable' }],
    ['/dev/fd0', { kind: 'removable' }],
    ['/dev/zram0', { kind: 'virtual' }],
    ['/dev/oradata', { kind: 'unknown' }],
    ['/dev/dm-0', { kind: 'unknown' }],
  ])('%s is read for what it goes by', (name, expected) => {
    expect(parseDiskName(name)).toMatchObject(expected);
  });

  it.each(['tmpfs', 'proc', 'nas:/export', '//nas/share', '/swapfile', 'none', 'overlay'])(
    '%s is none',
    (name) => {
      expect(parseDiskName(name)).toBeUndefined();
    },
  );
});

describe('an fstab on EC2', () => {
  it.each([
    `/dev/disk/by-uuid/${DATA_UUID} /srv ext4 defaults 0 2`,
    `UUID="${DATA_UUID}" /srv ext4 defaults 0 2`,
    `UUID=${DATA_UUID.toUpperCase()} /srv ext4 defaults 0 2`,
    'tmpfs /tmp tmpfs defaults 0 0',
    '/dev/cdrom /media/cdrom0 udf,iso9660 user,noauto 0 0',
    '/dev/fd0 /media/floppy0 auto rw,user,noauto 0 0',
    '/swapfile none swap sw 0 0',
    '/dev/zram0 none swap defaults,pri=100 0 0',
    '/srv/a /srv/b none bind 0 0',
    'overlay /o overlay lowerdir=/a:/b,upperdir=/c,workdir=/d 0 0',
  ])('keeps %s, and says nothing of it', async (line) => {
    const { fstab, warnings } = await fstabOf(`${line}\n`);
    expect(fstab).toBe(`${ROOT_LINE}${line}\n`);
    expect(warnings).toEqual([]);
  });

  it.each([
    '/dev/sdb1',
    '/dev/disk/by-path/pci-0000:03:00.0-scsi-0:0:1:0-part1',
    '/dev/nvme0n2p1',
    '/dev/nvme1n1p1',
  ])('names what %s means by its UUID, whether it is needed or not', async (device) => {
    const { fstab, warnings } = await fstabOf(`${device} /srv ext4 defaults,nofail 0 2\n`);
    expect(counting(fstab)).toBe(`UUID=${DATA_UUID} /srv ext4 defaults,nofail 0 2`);
    expect(warnings).toEqual([]);
  });

  it('takes hardware for the only disk that it can be, and says so', async () => {
    const device = '/dev/disk/by-id/scsi-36000c29a5b3f4f1d9d5c000000000001-part1';
    const { fstab, warnings } = await fstabOf(`${device} /srv ext4 defaults,nofail 0 2\n`);
    expect(counting(fstab)).toBe(`UUID=${DATA_UUID} /srv ext4 defaults,nofail 0 2`);
    expect(warnings).toEqual([expect.stringContaining(`from ${device}; on EC2 that is UUID=${DATA_UUID}`)]);
  });

  it('names hardware in the report where it may be either of two, and needs it no more', async () => {
    const other = makeDisk([{ tree: { b: 'b' }, sizeMiB: 4, uuid: BOOT_UUID }]);
    const lines = '/dev/disk/by-id/wwn-0x6000c29a5b3f4f1d-part1 /srv ext4 defaults 0 2\n';
    const { fstab, warnings } = await fstabOf(lines, {}, [
      { diskPath: makeDataDisk(), slot: 1 },
      { diskPath: other, slot: 2 },
    ]);
    expect(counting(fstab)).toBe(lines.replace('defaults', 'defaults,nofail').trim());
    expect(warnings).toEqual([expect.stringMatching(/wwn-0x6000c29a5b3f4f1d-part1.*cannot be told/)]);
  });

  it('knows the boot disk by what its root is called', async () => {
    const id = '/dev/disk/by-id/scsi-36000c29a5b3f4f1d9d5c000000000001';
    const disk = makeDisk([
      {
        tree: debian({
          'etc/fstab': `${id}-part1 / ext4 defaults 0 1\n${id}-part2 /srv ext4 defaults 0 2\n`,
        }),
        sizeMiB: 24,
        uuid: ROOT_UUID,
      },
      { tree: { a: 'a' }, sizeMiB: 4, uuid: BOOT_UUID },
    ]);
    await adapt(disk, { dataDisks: [{ diskPath: makeDataDisk(), slot: 1 }] });
    expect(text(disk, '/etc/fstab')).toMatch(
      new RegExp(`\nUUID=${ROOT_UUID} / ext4 defaults 0 1\n[^]*\nUUID=${BOOT_UUID} /srv ext4 defaults 0 2\n`),
    );
  });

  it.each([
    ['/dev/sdc1', 'the VM has no such disk'],
    ['/dev/sda', 'that disk has partitions'],
    ['/dev/disk/by-path/pci-0000:03:00.0-scsi-0:0:5:0-part1', 'the VM has no such disk'],
    ['/dev/disk/by-path/ip-10.0.0.1:3260-iscsi-iqn.x-lun-0-part3', 'cannot be told'],
    ['UUID=99999999-9999-4999-8999-999999999999', 'no disk of the VM has that'],
    ['LABEL=gone', 'no disk of the VM has that'],
    ['PARTUUID=99999999-01', 'no disk of the VM has that'],
    ['/dev/vgdata/orders', 'no volume "orders" of a volume group "vgdata"'],
    ['/dev/mapper/vgdata-orders', 'no such volume'],
    ['/dev/mapper/mpathb-part3', 'cannot be told'],
    ['/dev/cdrom', 'EC2 has no such drive'],
    ['/dev/oradata', 'cannot be told'],
  ])('is not held up by %s, and says why it is missing', async (device, why) => {
    const { fstab, warnings } = await fstabOf(`${device} /mnt/x ext4 defaults 0 2\n${device} /mnt/y ext4\n`);
    expect(counting(fstab)).toBe(
      `${device} /mnt/x ext4 defaults,nofail 0 2\n${device} /mnt/y ext4 defaults,nofail`,
    );
    expect(warnings).toHaveLength(2);
    expect(warnings[0]).toContain(`/mnt/x from ${device}, and `);
    expect(warnings[0]).toContain(why);
  });

  it('needs nothing that lies on what is missing', async () => {
    const { fstab, warnings } = await fstabOf(
      '/dev/sdc1 /data ext4 defaults 0 2\n/data/home /home none bind 0 0\n/home/x /x none bind 0 0\n/data/iso /iso iso9660 loop,ro 0 0\n/data/swap none swap sw 0 0\n',
    );
    expect(counting(fstab)).toBe(
      '/dev/sdc1 /data ext4 defaults,nofail 0 2\n/data/home /home none bind,nofail 0 0\n/home/x /x none bind,nofail 0 0\n/data/iso /iso iso9660 loop,ro,nofail 0 0',
    );
    expect(warnings).toHaveLength(5);
  });

  it('tells of mounts over the network that are waited for, and keeps what lies on them from ending the boot', async () => {
    const { fstab, warnings } = await fstabOf(
      'nas:/export /nfs nfs defaults 0 0\n//nas/share /cifs cifs nofail 0 0\n/nfs/home /home none bind 0 0\n',
    );
    expect(counting(fstab)).toBe(
      'nas:/export /nfs nfs defaults 0 0\n//nas/share /cifs cifs nofail 0 0\n/nfs/home /home none bind,nofail 0 0',
    );
    expect(warnings).toEqual([
      expect.stringContaining('/nfs from nas:/export, over the network'),
      expect.stringContaining('/home from /nfs/home, and it needs /nfs'),
    ]);
  });

  it('has no swap of a disk that is gone', async () => {
    const { fstab, warnings } = await fstabOf(`/dev/sdc1 none swap sw 0 0\nUUID=${SWAP_UUID} none swap sw\n`);
    expect(counting(fstab)).toBe('');
    expect(warnings).toHaveLength(2);
  });

  it.each(['dos', 'gpt'] as const)('names swap without a UUID by its partition (%s)', async (label) => {
    const disk = makeDisk(
      [
        {
          tree: debian({ 'etc/fstab': `${ROOT_LINE}/dev/sda2 none swap sw 0 0\n` }),
          sizeMiB: 24,
          uuid: ROOT_UUID,
        },
        { sizeMiB: 2, type: label === 'dos' ? 'swap' : 'Linux swap' },
      ],
      label,
    );
    poke(disk, 25 * MIB, swapArea(undefined));
    const { stdout } = spawnSync('blkid', [
      '-p',
      '-o',
      'value',
      '-s',
      'PART_ENTRY_UUID',
      '-O',
      String(25 * MIB),
      disk,
    ]);
    expect(stdout.toString().trim()).toBe('');
    const table = JSON.parse(execFileSync('sfdisk', ['-J', disk]).toString()) as {
      partitiontable: { id: string; partitions: { uuid?: string }[] };
    };
    const { id, partitions } = table.partitiontable;
    const expected = (label === 'gpt' ? partitions[1]?.uuid : `${id.slice(2)}-02`)?.toLowerCase();
    await adapt(disk);
    expect(counting(text(disk, '/etc/fstab'))).toBe(`PARTUUID=${expected} none swap sw 0 0`);
  });

  it('tells file systems with one UUID apart by their partitions, and says where that cannot be', async () => {
    const twin = makeDisk([{ tree: { b: 'b' }, sizeMiB: 4, uuid: DATA_UUID }]);
    const lines = '/dev/sdb1 /a ext4 defaults 0 2\n/dev/sdc1 /b ext4 defaults 0 2\n';
    const apart = await fstabOf(lines, {}, [
      { diskPath: makeDataDisk(), slot: 1 },
      { diskPath: twin, slot: 2 },
    ]);
    expect(counting(apart.fstab)).toMatch(/^PARTUUID=\w{8}-01 \/a ext4.*\nPARTUUID=\w{8}-01 \/b ext4/);
    const copy = newPath();
    execFileSync('cp', [twin, copy]);
    const clones = await fstabOf(lines, {}, [
      { diskPath: twin, slot: 1 },
      { diskPath: copy, slot: 2 },
    ]);
    expect(counting(clones.fstab)).toBe(lines.replaceAll('defaults', 'defaults,nofail').trim());
    expect(clones.warnings[0]).toMatch(/another file system of the VM has its UUID/);
  });

  it('does not believe letters that the root contradicts, or that another kind of file system is behind', async () => {
    const disk = makeGuest({
      'etc/fstab': '/dev/sdc1 / ext4 defaults 0 1\n/dev/sdb1 /srv xfs defaults 0 2\n',
      'boot/grub/grub.cfg': `\tlinux /boot/vmlinuz root=/dev/sdc1 ro\n`,
    });
    const dataDisks = [{ diskPath: makeDataDisk(), slot: 1 }];
    await adapt(disk, { dataDisks });
    expect(text(disk, '/etc/fstab')).toMatch(
      new RegExp(`\nUUID=${ROOT_UUID} / ext4[^]*\n/dev/sdb1 /srv xfs defaults,nofail 0 2\n`),
    );
    expect(text(disk, '/boot/grub/grub.cfg')).toContain(`root=UUID=${ROOT_UUID} ro`);
  });

  it('refuses a root that has no other name than its place, in words that can be followed', async () => {
    const disk = makeGuest({ 'etc/fstab': '/dev/sda1 / ext4 defaults 0 1\n' });
    const copy = newPath();
    execFileSync('cp', [disk, copy]);
    await expect(adapt(disk, { dataDisks: [{ diskPath: copy, slot: 1 }] })).rejects.toThrow(
      /names the root file system \/dev\/sda1.*tune2fs -U random/,
    );
  });

  it('is refused nothing for a data disk whose partition table is of another kind', async () => {
    const strange = newPath();
    execFileSync('truncate', ['-s', '8M', strange]);
    partition(strange, 'label: sgi\n');
    const { fstab } = await fstabOf('/dev/sdb1 /srv ext4 defaults 0 2\n', {}, [
      { diskPath: strange, slot: 1 },
    ]);
    expect(counting(fstab)).toBe('/dev/sdb1 /srv ext4 defaults,nofail 0 2');
  });
});

describe('the way the guest starts', () => {
  const GRUB_CFG = `menuentry 'Debian' {
	linux	/boot/vmlinuz-6.1 root=/dev/sda1 ro quiet resume=/dev/sdb1
	initrd	/boot/initrd.img-6.1
}
menuentry 'Windows (on /dev/sdc1)' --class windows $menuentry_id_option 'osprober-chain-ABCD' {
	set root='hd2,msdos1'
	chainloader +1
}
submenu 'Advanced options for Debian (on /dev/sdb1)' $menuentry_id_option 'osprober-gnulinux-advanced-x' {
menuentry 'Old (on /dev/sdb1)' $menuentry_id_option 'osprober-gnulinux-/boot/vmlinuz--x' {
	linux	/boot/vmlinuz-6.1 root=/dev/sdb1 ro
}
}
`;

  it('goes on without resume of nothing, and leaves a dead menu entry alone', async () => {
    const files = {
      'etc/fstab': `${ROOT_LINE}/dev/sdb1 none swap sw 0 0\n`,
      'etc/initramfs-tools/conf.d/resume': 'RESUME=/dev/sdb1\n',
      'etc/default/grub':
        'GRUB_CMDLINE_LINUX_DEFAULT="quiet resume=/dev/sdb1"\nGRUB_DISABLE_LINUX_UUID=true\n',
      'boot/grub/grub.cfg': GRUB_CFG,
    };
    const disk = makeGuest(files);
    const { warnings } = await adapt(disk);
    const grubCfg = text(disk, '/boot/grub/grub.cfg');
    expect(grubCfg).toContain(
      `\tlinux	/boot/vmlinuz-6.1 root=UUID=${ROOT_UUID} ro quiet console=tty0 console=ttyS0,115200\n`,
    );
    expect(grubCfg.slice(grubCfg.indexOf("menuentry 'Windows"))).toBe(
      GRUB_CFG.slice(GRUB_CFG.indexOf("menuentry 'Windows")),
    );
    expectGrubScript(grubCfg);
    expect(text(disk, '/etc/default/grub')).toMatch(
      /\nGRUB_CMDLINE_LINUX_DEFAULT="quiet"\n# lifeboat aside: GRUB_DISABLE_LINUX_UUID=true\n/,
    );
    expect(text(disk, '/etc/initramfs-tools/conf.d/resume')).toMatch(/\nRESUME=none\n/);
    expect(read(disk, INITRAMFS).includes('RESUME=none\n')).toBe(true);
    expect(warnings.join('\n')).toMatch(/swap area \/dev\/sdb1[^]*wakes the guest from \/dev\/sdb1/);
    await adapter.revertForPrimarySite(disk);
    for (const [path, content] of Object.entries(files)) expect(text(disk, `/${path}`)).toBe(content);
  });

  it.each(['8:1', '0801', '801', '/dev/disk/by-id/wwn-0x6000c29a5b3f4f1d-part1', '/dev/sdx9'])(
    'finds its root that is called %s',
    async (root) => {
      const disk = makeGuest({
        'etc/fstab': ROOT_LINE,
        'boot/grub/grub.cfg': `menuentry 'x' {\n\tlinux /boot/vmlinuz root=${root} ro\n}\n`,
      });
      await adapt(disk);
      expect(text(disk, '/boot/grub/grub.cfg')).toContain(`root=UUID=${ROOT_UUID} ro`);
    },
  );

  it('searches for a disk that grub.cfg has by its number only', async () => {
    const cfg = `menuentry 'x' {
	set root='hd1,msdos1'
	linux /vmlinuz root=UUID=${ROOT_UUID} ro
}
menuentry 'y' {
	set root='hd1,msdos1'
	if true; then
	  search --no-floppy --fs-uuid --set=root --hint-bios=hd1,msdos1 ${DATA_UUID}
	fi
	linux /vmlinuz root=UUID=${ROOT_UUID} ro
}
`;
    const disk = makeGuest({ 'etc/fstab': ROOT_LINE, 'boot/grub/grub.cfg': cfg });
    await adapt(disk, { dataDisks: [{ diskPath: makeDataDisk(), slot: 1 }] });
    const changed = text(disk, '/boot/grub/grub.cfg');
    expectGrubScript(changed);
    expect(changed.replaceAll(' console=tty0 console=ttyS0,115200', '')).toBe(
      cfg.replace(
        "set root='hd1,msdos1'\n",
        `set root='hd1,msdos1'\n\tsearch --no-floppy --fs-uuid --set=root ${DATA_UUID}\n`,
      ),
    );
  });
});

describe('crypttab and systemd units', () => {
  it('have names that hold, and nothing of disks that are gone', async () => {
    const unit = (device: string) =>
      `[Unit]\nDescription=x\n[Mount]\nWhat=${device}\nWhere=/srv/x\nType=ext4\n`;
    const files = {
      'etc/fstab': `${ROOT_LINE}/dev/mapper/gone /gone ext4 defaults 0 2\n/dev/mapper/here /here ext4 defaults 0 2\n`,
      'etc/crypttab': 'here /dev/sdb1 none luks\ngone /dev/sdc1 /dev/urandom swap\n',
      'etc/systemd/system/srv-x.mount': unit('/dev/sdb1'),
      'etc/systemd/system/srv-y.mount': unit('/dev/sdc1'),
      'etc/systemd/system/dev-sdb1.swap': '[Swap]\nWhat=/dev/sdb1\n',
    };
    const swap = newPath();
    execFileSync('cp', [makeDisk([{ sizeMiB: 4, type: 'swap' }]), swap]);
    poke(swap, MIB, swapArea(SWAP_UUID, 4));
    const disk = makeGuest({
      ...files,
      'etc/systemd/system/srv-x.mount': unit('/dev/sdc1'),
      'etc/systemd/system/srv-y.mount': unit('/dev/sdd1'),
      'etc/crypttab': 'here /dev/sdc1 none luks\ngone /dev/sdd1 /dev/urandom swap\n',
    });
    const before = listing(disk);
    const dataDisks = [
      { diskPath: swap, slot: 1 },
      { diskPath: makeDataDisk(), slot: 2 },
    ];
    const { warnings } = await adapt(disk, { dataDisks });
    expect(text(disk, '/etc/crypttab')).toMatch(
      new RegExp(`\nhere UUID=${DATA_UUID} none luks\n# lifeboat aside: gone /dev/sdd1 /dev/urandom swap\n$`),
    );
    const fstab = text(disk, '/etc/fstab');
    expectReadable(fstab);
    expect(counting(fstab)).toBe(
      `/dev/mapper/gone /gone ext4 defaults,nofail 0 2\n/dev/mapper/here /here ext4 defaults 0 2\nUUID=${SWAP_UUID} none swap sw,nofail 0 0`,
    );
    expect(text(disk, '/etc/systemd/system/srv-x.mount')).toContain(
      `\nWhat=/dev/disk/by-uuid/${DATA_UUID}\n`,
    );
    expect(listing(disk)['/etc/systemd/system/srv-y.mount']).toBeUndefined();
    expect(listing(disk)['/etc/systemd/system/dev-sdb1.swap']).toBeUndefined();
    expect(warnings.join('\n')).toMatch(/crypttab has gone[^]*srv-y\.mount uses \/dev\/sdd1/);
    await adapter.revertForPrimarySite(disk, { dataDisks });
    expect(listing(disk)).toEqual(before);
  });

  it('are told of other files that know the disks by their places', async () => {
    const { warnings } = await fstabOf('', {
      'etc/udev/rules.d/99-oracle.rules': '# KERNEL=="sdz"\nKERNEL=="sd?1", SYMLINK+="oradata"\n',
      'etc/rc.local': '#!/bin/sh\nhdparm -S0 /dev/sdb\n',
      'etc/multipath.conf': 'blacklist { devnode "^sd[a-z]" }\n',
    });
    expect(warnings).toEqual([
      expect.stringContaining('/etc/rc.local names the disk /dev/sdb'),
      expect.stringContaining('/etc/udev/rules.d/99-oracle.rules names the disk KERNEL=="sd?1"'),
    ]);
  });
});

describe('directories of the system elsewhere', () => {
  const withVar = (fstab: string, link?: string): { root: Tree; data: Tree } => {
    const all = debian({ 'etc/fstab': ROOT_LINE + fstab });
    const root: Tree = {};
    const data: Tree = {};
    for (const [path, content] of Object.entries(all)) {
      if (path.startsWith('var/')) data[link === undefined ? path.slice(4) : path] = content;
      else root[path] = content;
    }
    return { root: { ...root, ...(link === undefined ? { 'var/.keep': '' } : { var: { link } }) }, data };
  };

  it.each([
    ['by its place', '/dev/sdb1 /var ext4 defaults 0 2\n', undefined],
    ['by its UUID', `UUID=${DATA_UUID} /var ext4 defaults 0 2\n`, undefined],
    ['through a link', '/dev/sdb1 /data ext4 defaults 0 2\n', '/data/var'],
    [
      'through a bind mount',
      '/dev/sdb1 /data ext4 defaults 0 2\n/data/var /var none bind 0 0\n',
      '/data/var',
    ],
  ])('are found on the second disk and written there: /var %s', async (how, fstab, link) => {
    const { root, data } = withVar(fstab, link);
    if (how === 'through a bind mount') delete root['var'];
    const disk = makeDisk([{ tree: { ...root, 'data/.keep': '' }, sizeMiB: 24, uuid: ROOT_UUID }]);
    if (how === 'through a bind mount') debugfs(disk, ['mkdir /var']);
    const diskPath = makeDisk([{ tree: data, sizeMiB: 8, uuid: DATA_UUID }]);
    const [rootBefore, dataBefore] = [listing(disk), listing(diskPath)];
    const dataDisks = [{ diskPath, slot: 1 }];
    await adapt(disk, { dataDisks });
    const inside = link === undefined ? '' : '/var';
    expect(listing(diskPath)[`${inside}/lib/lifeboat/run-boot-scripts`]).toMatch(/^file 755/);
    expect(listing(disk)['/var/lib']).toBeUndefined();
    await adapter.revertForPrimarySite(disk, { dataDisks });
    expect(listing(disk)).toEqual(rootBefore);
    expect(listing(diskPath)).toEqual(dataBefore);
  });

  it.each(['PARTUUID', 'LABEL', 'by-partuuid', 'by hardware'])('are found by %s: /boot', async (how) => {
    const all = Object.entries(debian({ 'boot/vmlinuz-6.1.0-1-amd64': 'kernel' }));
    const boot = Object.fromEntries(
      all.filter(([path]) => path.startsWith('boot/')).map(([path, content]) => [path.slice(5), content]),
    );
    const rest = Object.fromEntries(all.filter(([path]) => !path.startsWith('boot/')));
    const partUuid = 'aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee';
    const name = {
      PARTUUID: `PARTUUID=${partUuid}`,
      LABEL: 'LABEL=boot',
      'by-partuuid': `/dev/disk/by-partuuid/${partUuid}`,
      'by hardware': '/dev/disk/by-id/wwn-0x6000c29a5b3f4f1d-part1',
    }[how];
    const fstab = `${ROOT_LINE}${name} /boot ext4 defaults 0 2\n`;
    const disk = makeDisk(
      [
        { tree: boot, sizeMiB: 8, uuid: BOOT_UUID },
        { tree: { ...rest, 'boot/.keep': '', 'etc/fstab': fstab }, sizeMiB: 24, uuid: ROOT_UUID },
        { sizeMiB: 1, type: 'BIOS boot' },
      ],
      'gpt',
    );
    changePartition(disk, '--part-uuid', 1, partUuid);
    debugfs(disk, ['ssv volume_name boot']);
    await adapt(disk);
    expect(read(disk, INITRAMFS.slice('/boot'.length), 1).includes('lifeboat/modules')).toBe(true);
    const changed = text(disk, '/etc/fstab', 9);
    if (how === 'by hardware') expect(changed).toContain(`\nUUID=${BOOT_UUID} /boot ext4 defaults 0 2\n`);
    else expect(changed).toBe(fstab);
  });

  it('are missed where their disk is not there', async () => {
    const { root } = withVar('UUID=99999999-9999-4999-8999-999999999999 /var ext4 defaults 0 2\n');
    const disk = makeDisk([{ tree: root, sizeMiB: 24, uuid: ROOT_UUID }]);
    await expect(adapt(disk)).rejects.toThrow(/mounts \/var from UUID=9.*none of the VM's disks.*backed up/);
  });
});

describe('names of a VM with two disks', () => {
  it('are judged the same whichever order they are given in', async () => {
    const [boot, data] = [makeGuest(), makeDataDisk()];
    const names = await DeviceNames.read(boot, { slot: 3, dataDisks: [{ diskPath: data, slot: 0 }] });
    expect(names.judge('/dev/sda1')).toMatchObject({ is: 'told', name: `UUID=${DATA_UUID}` });
    expect(names.judge('/dev/sdb1', 'ext3')).toMatchObject({ is: 'told', name: `UUID=${ROOT_UUID}` });
    expect(names.judge('/dev/disk/by-path/pci-0000:0b:00.0-scsi-0:0:3:0-part1')).toMatchObject({
      link: `/dev/disk/by-uuid/${ROOT_UUID}`,
    });
    expect(names.judge('/dev/nvme2n1')).toMatchObject({ is: 'lost', gone: true });
  });

  it('go by the order of the controllers, and by no place on one of several', async () => {
    const [boot, data] = [makeGuest(), makeDataDisk()];
    const [first, second] = [0, 1].map((bus) => ({ kind: 'pvscsi' as const, bus }));
    const byPath = '/dev/disk/by-path/pci-0000:0b:00.0-scsi-0:0:0:0-part1';
    const names = await DeviceNames.read(boot, {
      ...{ slot: 0, controller: second },
      dataDisks: [{ diskPath: data, slot: 3, controller: first }],
    });
    expect(names.judge('/dev/sda1')).toMatchObject({ is: 'told', name: `UUID=${DATA_UUID}` });
    expect(names.judge('/dev/sdb1')).toMatchObject({ is: 'told', name: `UUID=${ROOT_UUID}` });
    expect(names.judge('/dev/sdc1')).toMatchObject({ is: 'lost', gone: true });
    expect(names.judge(byPath)).toMatchObject({ is: 'lost', gone: false });
    // hd0 is what the firmware boots from.
    expect([names.uuidForGrub(0, 1), names.uuidForGrub(1, 1)]).toEqual([ROOT_UUID, DATA_UUID]);

    const onOne = await DeviceNames.read(boot, {
      ...{ slot: 0, controller: second },
      dataDisks: [{ diskPath: data, slot: 3, controller: second }],
    });
    expect(onOne.judge(byPath)).toMatchObject({ is: 'told', name: `UUID=${ROOT_UUID}` });
  });

  it('are letters for all disks but those on NVMe, which have names of their own', async () => {
    const [boot, data] = [makeGuest(), makeDataDisk()];
    const nvme = { kind: 'nvme' as const, bus: 0 };
    const names = await DeviceNames.read(boot, {
      ...{ slot: 0, controller: nvme },
      dataDisks: [{ diskPath: data, slot: 0, controller: { kind: 'pvscsi', bus: 0 } }],
    });
    expect(names.judge('/dev/sda1')).toMatchObject({ is: 'told', name: `UUID=${DATA_UUID}` });
    expect(names.judge('/dev/sdb1')).toMatchObject({ is: 'lost', gone: true });
    expect(names.judge('/dev/nvme0n1p1')).toMatchObject({ is: 'told', name: `UUID=${ROOT_UUID}` });
    expect(names.judge('/dev/nvme1n1p1')).toMatchObject({ is: 'lost', gone: true });
  });

  it('are none of disks in one place', async () => {
    const [boot, data] = [makeGuest(), makeDataDisk()];
    const controller = { kind: 'pvscsi' as const, bus: 1 };
    const dataDisks = [{ diskPath: data, slot: 0, controller }];
    await expect(DeviceNames.read(boot, { slot: 0, controller, dataDisks })).rejects.toThrow(/same place/);
  });
});

/** That GRUB itself reads the file. */
function expectGrubScript(cfg: string): void {
  const path = newPath();
  writeFileSync(path, cfg);
  execFileSync('grub-script-check', [path]);
}
