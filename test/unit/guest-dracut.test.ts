import { guestAdapter } from '../../guest/adapter';
import {
  debian,
  DRACUT,
  INITRAMFS,
  initramfs,
  KERNEL,
  listing,
  makeGuest,
  read,
  removeFixtures,
  ROOT_UUID,
  text,
  unpack,
  write,
} from './guest-fixture';
import { CONSOLE, entry, ENTRY, FSTAB, IMAGE, rocky } from './guest-rocky';

const adapter = guestAdapter();
const adapt = (diskPath: string) =>
  adapter.adaptForRecoverySite({ diskPath, dataDisks: [], bootScripts: [], hosts: [], runId: 'run-1' });
/** The archive that was put behind an image. */
function segmentOf(disk: string, path: string, original: Buffer): Buffer {
  const extended = read(disk, path);
  expect(extended.subarray(0, original.length).equals(original)).toBe(true);
  return extended.subarray(extended.indexOf('070701', original.length));
}

afterAll(removeFixtures);

describe('a guest of dracut', () => {
  const disk = makeGuest(rocky());
  const before = listing(disk);
  const original = read(disk, IMAGE);

  it('gets its drivers by a hook before udev, and no directory but ours', async () => {
    const report = await adapt(disk);
    expect(report).toMatchObject({ family: 'Rocky Linux 9 (dracut)', kernels: [KERNEL], warnings: [] });
    const segment = segmentOf(disk, IMAGE, original);
    const file = unpack(segment);
    expect(file('lifeboat/02-nvme.ko')).toBe('code of nvme');
    const hook = file('usr/lib/dracut/hooks/pre-udev/01-lifeboat.sh');
    expect(hook).toContain('/usr/sbin/insmod "/lifeboat/$lifeboat_file"');
    const directories = segment.toString('latin1').match(/070701.{8}000041ed[^]{86}\0?[^\0]*\0/g);
    expect(directories).toHaveLength(1);
    expect(directories?.[0]).toContain('lifeboat\0');
  });

  it('has the console in its entries, and in what makes further ones', () => {
    expect(text(disk, ENTRY)).toContain(`options root=UUID=${ROOT_UUID} ro $tuned_params ${CONSOLE}\n`);
    const block = text(disk, '/boot/grub2/grubenv');
    expect(block).toHaveLength(1024);
    expect(block).toContain(`\nkernelopts=root=UUID=${ROOT_UUID} ro quiet ${CONSOLE}\n#`);
    expect(text(disk, '/etc/kernel/cmdline')).toBe(`root=UUID=${ROOT_UUID} ro ${CONSOLE}\n`);
  });

  it('puts the drivers of both sites into images that are made at the recovery site', () => {
    expect(text(disk, '/etc/dracut.conf.d/90-lifeboat.conf')).toContain(
      '\nadd_drivers+=" nvme ena virtio_net vmw_pvscsi sd_mod vmxnet3 "\n',
    );
  });

  it('is as it was, taken home', async () => {
    await adapter.revertForPrimarySite(disk);
    expect(listing(disk)).toEqual(before);
  });

  it('loses our console alone where the files were written again', async () => {
    await adapt(disk);
    const block = text(disk, '/boot/grub2/grubenv').replace('saved_entry=0', 'boot_success=1\nsaved_entry=0');
    write(disk, '/boot/grub2/grubenv', block.slice(0, 1024));
    const other = ENTRY.replace('6.1.0-1', '6.1.0-2');
    write(disk, other, entry('6.1.0-2-amd64', `root=UUID=${ROOT_UUID} ro ${CONSOLE}`));
    const report = await adapter.revertForPrimarySite(disk);
    expect(report.changed).toContain(other);
    expect(text(disk, other)).toContain(`options root=UUID=${ROOT_UUID} ro\n`);
    const home = text(disk, '/boot/grub2/grubenv');
    expect(home).toHaveLength(1024);
    expect(home).toMatch(/boot_success=1\nsaved_entry=[^]*\nkernelopts=root=\S+ ro quiet\n#+$/);
  });
});

it("gives an image that was cut to EC2's hardware the drivers of home", async () => {
  const disk = makeGuest(rocky());
  await adapt(disk);
  const fresh = initramfs(['nvme.ko'], undefined, DRACUT);
  write(disk, IMAGE, fresh);
  const report = await adapter.revertForPrimarySite(disk);
  expect(report.modules).toEqual(['vmw_pvscsi', 'sd_mod', 'vmxnet3']);
  expect(unpack(segmentOf(disk, IMAGE, fresh))('usr/lib/dracut/hooks/pre-udev/01-lifeboat.sh')).toContain(
    'insmod',
  );
});

describe('an image of dracut', () => {
  const {
    'usr/lib/dracut/hooks/pre-udev/50-other.sh': hook,
    'usr/lib/dracut/hooks/emergency/x.sh': _,
    ...rest
  } = DRACUT;
  const { 'usr/bin/dracut-pre-udev': __, ...systemdOnly } = DRACUT;
  it.each([
    [
      'whose hooks are a link gets them where it leads',
      {
        ...rest,
        'usr/lib/dracut/hooks': { link: '../../../var/lib/dracut/hooks' },
        'var/lib/dracut/hooks/pre-udev/50-other.sh': hook ?? '',
      },
      'var/lib/dracut/hooks/pre-udev/01-lifeboat.sh',
    ],
    ['without dracut-pre-udev gets a unit', systemdOnly, 'etc/systemd/system/lifeboat-drivers.service'],
  ])('%s', async (_name, tree, path) => {
    const image = initramfs(undefined, undefined, tree);
    const disk = makeGuest(rocky({ [IMAGE.slice(1)]: image }));
    await adapt(disk);
    expect(unpack(segmentOf(disk, IMAGE, image))(path)).toMatch(/insmod/);
  });

  it('that brings kernel arguments by the names of home has them as they hold on EC2', async () => {
    const image = initramfs(undefined, undefined, {
      ...DRACUT,
      'etc/cmdline.d/95resume.conf': ' resume=/dev/sda1\n',
    });
    const disk = makeGuest(rocky({ [IMAGE.slice(1)]: image }));
    await adapt(disk);
    expect(unpack(segmentOf(disk, IMAGE, image))('etc/cmdline.d/95resume.conf')).toBe(
      ` resume=UUID=${ROOT_UUID}\n`,
    );
  });

  it('is told from one of initramfs-tools where both makers, or what others put beside them, are there', async () => {
    const disk = makeGuest({
      ...FSTAB,
      'usr/share/initramfs-tools/init': undefined,
      'usr/share/initramfs-tools/hooks/kmod': '',
      'usr/lib/dracut/dracut-functions.sh': '',
      [INITRAMFS.slice(1)]: initramfs(undefined, undefined, DRACUT),
    });
    expect((await adapt(disk)).family).toBe('Debian GNU/Linux 12 (bookworm) (dracut)');
    const files = listing(disk);
    expect(files['/etc/dracut.conf.d/90-lifeboat.conf']).toBeDefined();
    expect(text(disk, '/etc/initramfs-tools/modules')).toBe('# modules\nvmw_pvscsi\n');
  });
});

describe('kernels beside the one that boots', () => {
  const old = '3.16.0-4-amd64';
  const remnant = '5.10.0-9-amd64';
  const others = {
    [`usr/lib/modules/${old}/modules.dep`]: 'kernel/nvme.ko:\n',
    [`usr/lib/modules/${old}/kernel/nvme.ko`]: 'code of nvme',
    [`boot/initrd.img-${old}`]: initramfs(),
    [`usr/lib/modules/${remnant}/updates/dkms/x.ko`]: '',
  };
  it('are left with a warning where they cannot run on EC2', async () => {
    const disk = makeGuest({ ...FSTAB, ...others });
    const report = await adapt(disk);
    expect(report.kernels).toEqual([KERNEL]);
    expect(report.warnings).toEqual([
      expect.stringMatching(new RegExp(`^Kernel ${old}, which is not the one that boots, .* has no ena`)),
      expect.stringContaining(`nothing in /boot goes with ${remnant}`),
    ]);
  });

  it('are named as the way out where the one that boots cannot run on EC2', async () => {
    const cfg = `set default="1>0"\nmenuentry 'New' {\n linux /boot/vmlinuz-${KERNEL}\n}\nsubmenu 'More' {\nmenuentry 'Old' {\n linux /boot/vmlinuz-${old}\n}\n}\n`;
    const disk = makeGuest({ ...FSTAB, ...others, 'boot/grub/grub.cfg': cfg });
    await expect(adapt(disk)).rejects.toThrow(
      new RegExp(`Kernel ${old} .* has no ena.*It is the kernel that boots; ${KERNEL} of the guest would do`),
    );
  });

  it('and dead entries of the menu are left', async () => {
    const dead = `menuentry 'Old disk' {\n\tlinux /boot/vmlinuz-${KERNEL} root=/dev/sdb1\n}\n`;
    const cfg = debian()['boot/grub/grub.cfg'] as string;
    const disk = makeGuest({ ...FSTAB, 'boot/grub/grub.cfg': cfg + dead });
    const report = await adapt(disk);
    expect(text(disk, '/boot/grub/grub.cfg')).toContain(dead);
    expect(report.warnings).toEqual([expect.stringMatching(/not the one that boots .* \/dev\/sdb1/)]);
  });
});
