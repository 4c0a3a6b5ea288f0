import { guestAdapter } from '../../guest/adapter';
import { type RecoverySiteAdaptation } from '../../guest/port';
import {
  DATA_UUID,
  debugfs,
  diskDigest,
  INITRAMFS,
  initramfs,
  KERNEL,
  listing,
  makeDataDisk,
  makeGuest,
  read,
  removeFixtures,
  ROOT_UUID,
  text,
  unpack,
  write,
} from './guest-fixture';

const adapter = guestAdapter();
const adaptation = (diskPath: string): RecoverySiteAdaptation => ({
  diskPath,
  dataDisks: [{ diskPath: makeDataDisk(), slot: 1 }],
  bootScripts: [
    { name: 'web.sh', content: Buffer.from('#!/bin/sh\necho web\n') },
    { name: 'after.sh', content: Buffer.from('#!/bin/sh\nexit 3\n') },
  ],
  hosts: [{ address: '10.0.1.30', names: ['db', 'db.shop.example'] }],
  runId: 'run-1',
});

afterAll(removeFixtures);

describe('a guest adapted for the recovery site', () => {
  const disk = makeGuest();
  const originalInitramfs = read(disk, INITRAMFS);
  let segment: Buffer;

  it('is reported', async () => {
    const report = await adapter.adaptForRecoverySite(adaptation(disk));
    expect(report.family).toBe('Debian GNU/Linux 12 (bookworm) (initramfs-tools)');
    expect(report.kernels).toEqual([KERNEL]);
    expect(report.modules).toEqual(['crc64', 'nvme_core', 'nvme', 'ena', 'virtio_net']);
    expect(report.changed).toContain('/etc/fstab');
    segment = read(disk, INITRAMFS).subarray(originalInitramfs.length);
  });

  it('has the original initramfs, then zeros, then an archive at a sector', () => {
    expect(read(disk, INITRAMFS).subarray(0, originalInitramfs.length).equals(originalInitramfs)).toBe(true);
    const begin = segment.indexOf('070701');
    expect(begin).toBeGreaterThanOrEqual(4);
    expect(segment.subarray(0, begin).every((byte) => byte === 0)).toBe(true);
    expect((originalInitramfs.length + begin) % 512).toBe(0);
    expect((originalInitramfs.length + segment.length) % 512).toBe(0);
  });

  it('has the modules, decompressed, in load order', () => {
    const file = unpack(segment.subarray(segment.indexOf('070701')));
    expect(file('lifeboat/modules')).toBe(
      '00-crc64.ko crc64\n01-nvme_core.ko nvme_core\n02-nvme.ko nvme\n03-ena.ko ena\n04-virtio_net.ko virtio_net\n',
    );
    expect(file('lifeboat/00-crc64.ko')).toBe('code of crc64');
    expect(file('lifeboat/02-nvme.ko')).toBe('code of nvme');
    expect(file('lifeboat/03-ena.ko')).toBe('code of ena');
    expect(file('conf/conf.d/zz-lifeboat')).toContain('/lifeboat/modules');
  });

  it('asks for the modules, the console and DHCP, now and after updates', () => {
    expect(text(disk, '/etc/initramfs-tools/modules')).toMatch(
      /vmw_pvscsi\n# BEGIN lifeboat.*\nnvme\nena\nvirtio_net\n# END/,
    );
    expect(text(disk, '/boot/grub/grub.cfg')).toContain(
      `root=UUID=${ROOT_UUID} ro quiet console=tty0 console=ttyS0,115200\n`,
    );
    expect(text(disk, '/boot/grub/grub.cfg')).toContain("set root='hd0,msdos1'");
    expect(text(disk, '/etc/default/grub')).toContain(
      'GRUB_CMDLINE_LINUX="$GRUB_CMDLINE_LINUX console=tty0 console=ttyS0,115200"',
    );
    expect(text(disk, '/etc/systemd/network/00-lifeboat.network')).toMatch(
      /Driver=ena virtio_net\n\n\[Network\]\nDHCP=ipv4/,
    );
    const files = listing(disk);
    expect(files['/etc/systemd/network/10-ens192.network']).toBeUndefined();
    expect(files['/etc/systemd/network/20-lo.network']).toBeDefined();
    expect(files['/etc/udev/rules.d/70-persistent-net.rules']).toBeUndefined();
    expect(text(disk, '/etc/resolv.conf')).toContain('\nnameserver 169.254.169.253\n');
  });

  it('finds the other machines and its disks', () => {
    const hosts = text(disk, '/etc/hosts');
    expect(hosts).toContain('# lifeboat aside: 192.168.10.30 db cache # the database\n192.168.10.20 web\n');
    expect(hosts).toContain('\n10.0.1.30 db db.shop.example cache\n');
    expect(text(disk, '/etc/fstab')).toContain(`\nUUID=${DATA_UUID}\t/srv ext4 defaults 0 2\n`);
  });

  it('has the boot scripts, in order, with their unit and their environment', () => {
    const files = listing(disk);
    const scripts = '/var/lib/lifeboat/boot.d/run-1/scripts';
    expect(files[`${scripts}/00-web.sh`]).toMatch(/^file 700 0:0/);
    expect(files[`${scripts}/01-after.sh`]).toMatch(/^file 700 0:0/);
    expect(files['/etc/systemd/system/multi-user.target.wants/lifeboat-boot.service']).toBe(
      'link ../lifeboat-boot.service',
    );
    expect(text(disk, '/var/lib/lifeboat/boot.d/run-1/environment')).toBe(
      'export LIFEBOAT_RUN_ID=run-1\nexport LIFEBOAT_ADDRESS_DB=10.0.1.30\nexport LIFEBOAT_ADDRESS_DB_SHOP_EXAMPLE=10.0.1.30\n',
    );
  });

  it('is the same after a second time', async () => {
    const once = listing(disk);
    await adapter.adaptForRecoverySite(adaptation(disk));
    expect(listing(disk)).toEqual(once);
  });
});

describe('a guest taken home', () => {
  it('is as it was', async () => {
    const disk = makeGuest({ 'etc/hosts': '192.168.10.30 db' });
    debugfs(disk, ['sif /etc/hosts mode 0100640', 'sif /etc/hosts gid 42']);
    const before = listing(disk);
    await adapter.adaptForRecoverySite(adaptation(disk));
    expect(listing(disk)).not.toEqual(before);
    const report = await adapter.revertForPrimarySite(disk);
    expect(report.changed).toContain(INITRAMFS);
    expect(listing(disk)).toEqual(before);
  });

  it('keeps what was edited meanwhile, and loses only what was ours', async () => {
    const disk = makeGuest();
    await adapter.adaptForRecoverySite(adaptation(disk));
    write(disk, '/etc/hosts', `${text(disk, '/etc/hosts')}10.0.1.99 printer\n`);
    write(disk, '/etc/fstab', `${text(disk, '/etc/fstab')}/dev/mapper/x /x ext4 nofail 0 0\n`);
    write(
      disk,
      '/etc/default/grub',
      text(disk, '/etc/default/grub').replace('GRUB_TIMEOUT=0', 'GRUB_TIMEOUT=9'),
    );
    write(disk, '/boot/grub/grub.cfg', `# made again\n${text(disk, '/boot/grub/grub.cfg')}`);
    write(disk, '/etc/systemd/network/00-lifeboat.network', '[Match]\nDriver=ena\n');
    debugfs(disk, ['mkdir /var/lib/lifeboat/boot.d/run-1/status']);
    write(disk, '/var/lib/lifeboat/boot.d/run-1/status/00-web.sh', '0\n');
    await adapter.revertForPrimarySite(disk);
    expect(text(disk, '/etc/hosts')).toBe(
      '127.0.0.1 localhost\n192.168.10.30 db cache # the database\n192.168.10.20 web\n10.0.1.99 printer\n',
    );
    expect(text(disk, '/etc/fstab')).toMatch(
      /\n\/dev\/sdb1\t\/srv ext4 defaults 0 2\n.*\n\/dev\/mapper\/x \/x/,
    );
    expect(text(disk, '/etc/default/grub')).toBe('GRUB_TIMEOUT=9\nGRUB_CMDLINE_LINUX="net.ifnames=1"\n');
    expect(text(disk, '/boot/grub/grub.cfg')).toMatch(/^# made again\n[^]*ro quiet\n/);
    const files = listing(disk);
    expect(files['/etc/systemd/network/00-lifeboat.network']).toBeUndefined();
    expect(files['/etc/systemd/network/10-ens192.network']).toBeDefined();
    expect(text(disk, '/var/lib/lifeboat/kept/etc/systemd/network/00-lifeboat.network')).toBe(
      '[Match]\nDriver=ena\n',
    );
    expect(Object.keys(files).filter((path) => path.includes('boot.d'))).toEqual([]);
  });

  it('keeps an initramfs that was made meanwhile and has the drivers of the primary site', async () => {
    const disk = makeGuest();
    await adapter.adaptForRecoverySite(adaptation(disk));
    const fresh = initramfs(['nvme.ko', 'vmw_pvscsi.ko.xz', 'sd-mod.ko']);
    write(disk, INITRAMFS, fresh);
    const report = await adapter.revertForPrimarySite(disk);
    expect(report.kernels).toEqual([]);
    expect(read(disk, INITRAMFS).equals(fresh)).toBe(true);
  });

  it.each([
    ['lacks the drivers of the primary site', () => initramfs(['nvme.ko'])],
    ['has the controller, and not the disks', () => initramfs(['vmw_pvscsi.ko'])],
  ])('adds drivers to an initramfs that was made meanwhile and %s', async (_, make) => {
    const disk = makeGuest();
    await adapter.adaptForRecoverySite(adaptation(disk));
    const fresh = make();
    write(disk, INITRAMFS, fresh);
    const report = await adapter.revertForPrimarySite(disk);
    expect(report.modules).toEqual(['vmw_pvscsi', 'sd_mod', 'vmxnet3']);
    const home = read(disk, INITRAMFS);
    expect(home.subarray(0, fresh.length).equals(fresh)).toBe(true);
    const file = unpack(home.subarray(home.indexOf('070701', fresh.length)));
    expect(file('lifeboat/modules')).toBe(
      '00-vmw_pvscsi.ko vmw_pvscsi\n01-sd_mod.ko sd_mod\n02-vmxnet3.ko vmxnet3\n',
    );
  });

  it('is refused where an initramfs was cut off while it was made', async () => {
    const disk = makeGuest();
    await adapter.adaptForRecoverySite(adaptation(disk));
    write(disk, INITRAMFS, initramfs().subarray(0, -20));
    await expect(adapter.revertForPrimarySite(disk)).rejects.toThrow(
      /primary site's drivers: .*"update-initramfs -c -k/,
    );
  });

  it('is left alone, to the byte, where it was never adapted', async () => {
    const disk = makeGuest();
    const before = diskDigest(disk);
    const report = await adapter.revertForPrimarySite(disk);
    expect(report.changed).toEqual([]);
    expect(diskDigest(disk)).toBe(before);
  });
});
