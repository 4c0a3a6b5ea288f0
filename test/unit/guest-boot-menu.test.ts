import { guestPathOf } from '../../guest/linux/boot/boot-entry';
import { defaultEntry } from '../../guest/linux/boot/default-entry';
import { parseGrubenv, withGrubenvValue } from '../../guest/linux/boot/grubenv';
import { parseGrubMenu } from '../../guest/linux/boot/grub-menu';
import { compareVersions } from '../../guest/linux/boot/version-order';

/** As grub-mkconfig writes it, with the default as it is given. */
const cfg = (choice: string): string => `
if [ "\${next_entry}" ] ; then
   set default="\${next_entry}"
else
   set default="${choice}"
fi
function gfxmode {
	set gfxpayload="\${1}"
}
menuentry 'Debian GNU/Linux' --class debian $menuentry_id_option 'gnulinux-simple-1' {
	if [ x = y ]; then insmod gzio; fi
	linux	/boot/vmlinuz-6.1.0-2 root=UUID=1 ro  quiet
	initrd	/boot/initrd.img-6.1.0-2
}
submenu 'Advanced options' $menuentry_id_option 'gnulinux-advanced-1' {
	menuentry 'Debian, with Linux 6.1.0-2' $menuentry_id_option 'gnulinux-6.1.0-2-advanced-1' {
		linux	/boot/vmlinuz-6.1.0-2 root=UUID=1
	}
	menuentry 'Debian, with Linux 5.10.0-9' --class x $menuentry_id_option 'gnulinux-5.10.0-9-advanced-1' {
		linux	/boot/vmlinuz-5.10.0-9 root=UUID=1
		initrd	/boot/intel-ucode.img /boot/initrd.img-5.10.0-9
	}
}
menuentry 'UEFI Firmware Settings' $menuentry_id_option 'uefi-firmware' {
	fwsetup
}
`;

describe('what GRUB boots', () => {
  const boots = (choice: string, environment: Record<string, string> = {}): string | undefined => {
    const text = cfg(choice);
    return defaultEntry(
      text,
      new Map(Object.entries(environment)),
      parseGrubMenu(text, '/boot/grub/grub.cfg'),
    )?.kernel;
  };
  const [NEW, OLD] = ['/boot/vmlinuz-6.1.0-2', '/boot/vmlinuz-5.10.0-9'];
  it.each([
    ['the first', '0', {}, NEW],
    ['by numbers', '1>1', {}, OLD],
    ['a menu, by its first entry', '1', {}, NEW],
    ['by ids', 'gnulinux-advanced-1>gnulinux-5.10.0-9-advanced-1', {}, OLD],
    ['by titles', 'Advanced options>Debian, with Linux 5.10.0-9', {}, OLD],
    ['what was saved', '${saved_entry}', { saved_entry: '1>1' }, OLD],
    ['the first where nothing was saved', '${saved_entry}', {}, NEW],
    ['the first where what was saved is gone', '${saved_entry}', { saved_entry: 'gnulinux-9' }, NEW],
    ['what is set for the next start', '0', { next_entry: '1>1' }, OLD],
    ['the first Linux where the choice is none', '2', {}, NEW],
  ])('%s', (_, choice, environment, kernel) => {
    expect(boots(choice, environment)).toBe(kernel);
  });

  it('has no end in menus that never close', () => {
    expect(parseGrubMenu("submenu 'x' {\n".repeat(100_000), 'x')).toEqual([]);
  });
});

it.each([
  ['/vmlinuz-1', '/boot/vmlinuz-1'],
  ['/boot/vmlinuz-1', '/boot/vmlinuz-1'],
  ['/@/boot/vmlinuz-1', '/boot/vmlinuz-1'],
  ['($root)/vmlinuz-1', '/boot/vmlinuz-1'],
  ['/root/boot/grub2/x', '/boot/grub2/x'],
])('reads the path %s as GRUB means it', (grub, guest) => {
  expect(guestPathOf(grub)).toBe(guest);
});

it.each([
  ['6.1.0-9-amd64', '6.1.0-10-amd64'],
  ['5.14.0-70.el9', '5.14.0-362.8.1.el9_3'],
  ['0-rescue-abc', '4.18.0'],
  ['6.1~rc1', '6.1'],
  ['6.1', '6.1.1'],
  ['4.18.0-9007199254740993', '4.18.0-9007199254740994'],
])('has kernel %s before %s', (older, newer) => {
  expect(compareVersions(older, newer)).toBeLessThan(0);
  expect(compareVersions(newer, older)).toBeGreaterThan(0);
  expect(compareVersions(newer, newer)).toBe(0);
});

describe('an environment block', () => {
  const block = '# GRUB Environment Block\nsaved_entry=a\nkernelopts=root=/dev/x ro\n'.padEnd(1024, '#');
  it('keeps its length and its other values', () => {
    const changed = withGrubenvValue(block, 'kernelopts', 'ro a\\b');
    expect(changed).toHaveLength(1024);
    expect(parseGrubenv(changed ?? '')).toEqual(
      new Map([
        ['saved_entry', 'a'],
        ['kernelopts', 'ro a\\b'],
      ]),
    );
  });
  it('is left where the value does not fit, and where it is none', () => {
    expect(withGrubenvValue(block, 'kernelopts', 'x'.repeat(1000))).toBeUndefined();
    expect(withGrubenvValue('kernelopts=1\n', 'kernelopts', '2')).toBeUndefined();
  });
});
