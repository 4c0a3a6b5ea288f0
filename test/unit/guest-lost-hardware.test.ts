import { guestAdapter } from '../../guest/adapter';
import { lvmConfigurationForNewDisks } from '../../guest/linux/disks/lvm';
import { devicesByContent } from '../../guest/linux/disks/lost-hardware';
import {
  debugfs,
  DRACUT,
  INITRAMFS,
  initramfs,
  makeGuest,
  removeFixtures,
  ROOT_UUID,
  text,
  unpack,
  read,
} from './guest-fixture';
import { ENTRY, entry, grubenv, IMAGE, rocky } from './guest-rocky';
import { KERNEL } from './guest-fixture';

jest.setTimeout(60_000);
afterAll(removeFixtures);

const adapter = guestAdapter();
const OLD = '/dev/disk/by-id/scsi-36000c29a5b3f4f1d9d5c000000000001-part1';
const NEW = `/dev/disk/by-uuid/${ROOT_UUID}`;
const FILTER = 'devices {\n\tfilter = [ "a|^/dev/disk/by-id/scsi-36000c29a.*|", "r|.*|" ]\n}\n';
const DEVICES =
  'IDTYPE=sys_wwid IDNAME=naa.6000c29f5d0f3a11 DEVNAME=/dev/sda2 PVID=Lf2hQmT81yN0c7VdRzXe4Kb9sGwUaP36 PART=2\n';

async function awayAndHome(disk: string) {
  await adapter.adaptForRecoverySite({
    diskPath: disk,
    dataDisks: [],
    bootScripts: [],
    hosts: [],
    runId: 'run-1',
  });
  return adapter.revertForPrimarySite(disk, { slot: 0, dataDisks: [] });
}

describe('a guest that knew its disks by their hardware, on the new disks at home', () => {
  it('finds them by what is on them, wherever it named them', async () => {
    const disk = makeGuest(
      rocky({
        'etc/fstab': `${OLD} / ext4 defaults 0 1\n/dev/disk/by-id/scsi-36000c29a5b3f4f1d9d5c0000000000ff-part1 /lost ext4 nofail 0 0\n`,
        'etc/crypttab': `# nothing\n`,
        'etc/lvm/lvm.conf': FILTER,
        'etc/kernel/cmdline': `root=${OLD} ro\n`,
        'etc/lvm/devices/system.devices': `# LVM uses devices listed in this file.\nVERSION=1.1.1\n${DEVICES}`,
        'etc/default/grub.d/50-resume.cfg': `GRUB_CMDLINE_LINUX="resume=${OLD}"\n`,
        'etc/systemd/system/mnt.mount': `[Mount]\nWhat=${OLD}\nWhere=/mnt\nType=ext4\n`,
        [ENTRY.slice(1)]: entry(KERNEL, `root=${OLD} ro quiet`),
        'boot/grub2/grubenv': grubenv(`saved_entry=x\nkernelopts=root=${OLD} ro\n`),
        [IMAGE.slice(1)]: initramfs(undefined, undefined, {
          ...DRACUT,
          'etc/lvm/devices/system.devices': DEVICES,
          'etc/lvm/lvm.conf': FILTER,
          'etc/cmdline.d/95root-dev.conf': `root=${OLD}\n`,
        }),
      }),
    );
    const before = read(disk, IMAGE);
    const { changed, warnings } = await awayAndHome(disk);
    expect(text(disk, '/etc/fstab')).toBe(
      `${NEW} / ext4 defaults 0 1\n/dev/disk/by-id/scsi-36000c29a5b3f4f1d9d5c0000000000ff-part1 /lost ext4 nofail 0 0\n`,
    );
    expect(text(disk, '/etc/default/grub.d/50-resume.cfg')).toContain(`resume=${NEW}`);
    expect(text(disk, '/etc/systemd/system/mnt.mount')).toContain(`What=${NEW}\n`);
    expect(text(disk, '/etc/kernel/cmdline')).toBe(`root=${NEW} ro\n`);
    expect(text(disk, ENTRY)).toBe(entry(KERNEL, `root=${NEW} ro quiet`));
    const environment = text(disk, '/boot/grub2/grubenv');
    expect(environment).toHaveLength(1024);
    expect(environment).toContain(`kernelopts=root=${NEW} ro\n#`);
    expect(text(disk, '/etc/lvm/devices/system.devices')).toContain(
      '\nIDTYPE=devname IDNAME=/dev/sda2 DEVNAME=/dev/sda2 PVID=Lf2hQmT81yN0c7VdRzXe4Kb9sGwUaP36 PART=2\n',
    );
    const image = read(disk, IMAGE);
    expect(image.subarray(0, before.length).equals(before)).toBe(true);
    const file = unpack(image.subarray(image.indexOf('070701', before.length)));
    expect(file('etc/cmdline.d/95root-dev.conf')).toBe(`root=${NEW}\n`);
    expect(text(disk, '/etc/lvm/lvm.conf')).toContain('filter = [ "a|^/dev/sd[a-z]+[0-9]*$|", ');
    expect(file('etc/lvm/lvm.conf')).toBe(text(disk, '/etc/lvm/lvm.conf'));
    expect(changed).toEqual(expect.arrayContaining(['/etc/fstab', '/etc/lvm/devices/system.devices', IMAGE]));
    expect(warnings.join('\n')).toMatch(/0000000000ff-part1 is of hardware that is gone/);
    expect(warnings.join('\n')).toMatch(/found by what is on them/);
    // Home already.
    expect((await adapter.revertForPrimarySite(disk, { slot: 0, dataDisks: [] })).changed).toEqual([]);
  });

  it('comes home though somebody has made a directory of such a file', async () => {
    const disk = makeGuest({ 'etc/fstab': `${OLD} / ext4 defaults 0 1\n` });
    await adapter.adaptForRecoverySite({
      ...{ diskPath: disk, dataDisks: [], bootScripts: [], hosts: [], runId: 'run-1' },
    });
    debugfs(disk, ['mkdir /etc/lvm', 'mkdir /etc/lvm/lvm.conf']);
    const { warnings } = await adapter.revertForPrimarySite(disk, { slot: 0, dataDisks: [] });
    expect(text(disk, '/etc/fstab')).toBe(`${NEW} / ext4 defaults 0 1\n`);
    expect(warnings.join('\n')).toMatch(/lvm\.conf in the guest: .*is not known/);
  });

  it('is left alone where it names its disks by what is on them', async () => {
    const disk = makeGuest({ 'etc/fstab': `UUID=${ROOT_UUID} / ext4 defaults 0 1\n` });
    const before = read(disk, INITRAMFS);
    await awayAndHome(disk);
    expect(read(disk, INITRAMFS).equals(before)).toBe(true);
    expect(text(disk, '/etc/fstab')).toBe(`UUID=${ROOT_UUID} / ext4 defaults 0 1\n`);
  });
});

describe('a devices file of LVM', () => {
  it.each([
    ['sys_serial', 'IDTYPE=sys_serial IDNAME=drive-virtio0 DEVNAME=/dev/vda3 PVID=aaaa PART=3'],
    [
      'mpath_uuid',
      'IDTYPE=mpath_uuid IDNAME=mpath-36000c29f5d0f3a11 DEVNAME=/dev/mapper/mpatha2 PVID=aaaa PART=2',
    ],
  ])('with %s knows the volume by its own identity', (_, line) => {
    const name = /DEVNAME=(\S+)/.exec(line)?.[1];
    expect(devicesByContent(`${line}\n`)).toBe(
      line.replace(/IDTYPE=\S+ IDNAME=\S+/, `IDTYPE=devname IDNAME=${name}`) + '\n',
    );
  });

  it.each([
    'IDTYPE=devname IDNAME=/dev/sdb DEVNAME=/dev/sdb PVID=aaaa',
    // Without a volume's identity, the hardware's is all that there is; likewise without a name.
    'IDTYPE=sys_wwid IDNAME=naa.1 DEVNAME=/dev/sdb PVID=.',
    'IDTYPE=sys_wwid IDNAME=naa.1 DEVNAME=. PVID=aaaa',
  ])('with "%s" stays as it is', (line) => {
    expect(devicesByContent(`${line}\n`)).toBe(`${line}\n`);
  });
});

describe('filters of LVM', () => {
  it.each([
    ['devices { filter = [ "a|^/dev/disk/by-id/wwn-0x6000c29.*|", "r|.*|" ] }\n', true],
    ['devices/global_filter = [ "a/scsi-36000c29/", "r/.*/" ]\n', true],
    // By names that the new disks have, too; by a volume's own identity; and what hides nothing.
    ['devices { filter = [ "a|^/dev/sd.*|", "r|.*|" ] }\n', false],
    ['devices { filter = [ "a|/dev/disk/by-id/lvm-pv-uuid-.*|", "r|.*|" ] }\n', false],
    ['devices { filter = [ "a|/dev/disk/by-id/scsi-3.*|", "a|/dev/sd|", "r|.*|" ] }\n', false],
    ['devices { filter = [ "r|^/dev/disk/by-id/scsi-36000c29.*|" ] }\n', false],
  ])('%s', (before, changed) => {
    const after = lvmConfigurationForNewDisks(before);
    expect(after !== before).toBe(changed);
    expect(lvmConfigurationForNewDisks(after)).toBe(after);
  });
});
