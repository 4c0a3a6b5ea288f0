import { mkdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { guestAdapter } from '../../guest/adapter';
import { PRIMARY_MODULES, RECOVERY_MODULES } from '../../guest/linux/initramfs/drivers';
import { bootTrees, type BootTree } from '../support/boot-tree';
import { consoleOfBoot } from '../support/kernel-boot';
import {
  debian,
  DRACUT,
  initramfs,
  KERNEL,
  listing,
  makeGuest,
  newPath,
  read,
  removeFixtures,
  ROOT_UUID,
  unpack,
} from '../unit/guest-fixture';
import { entry, grubenv, rocky } from '../unit/guest-rocky';

// dracut makes an image in ten seconds, a machine without KVM boots in as many.
jest.setTimeout(300_000);
afterAll(removeFixtures);

type Changes = NonNullable<Parameters<typeof debian>[0]>;

/** What the primary site's guest has in its initramfs: its own disks' drivers, and none of EC2's. */
const DRACUT_MODULES = {
  sh: 'base fs-lib kernel-modules rootfs-block udev-rules',
  systemd: 'base dracut-systemd fs-lib kernel-modules rootfs-block systemd systemd-initrd udev-rules',
};
const DRIVERS = 'xfs vmw_pvscsi sd_mod vmxnet3';
/**
 * How the image's main part is compressed, what stands before it, and what its init is. The commands are those of dracut's
 * `case $compress`, but for how hard they try: dracut has them try hardest, which takes a minute, and the format is the same.
 */
const COMPRESSIONS: [string, string[], 'alone' | 'behind microcode', keyof typeof DRACUT_MODULES][] = [
  ['nothing', [], 'alone', 'sh'],
  ['nothing', [], 'behind microcode', 'sh'],
  ['gzip', ['gzip', '-c', '-n', '-1', '--rsyncable'], 'alone', 'systemd'],
  ['xz', ['xz', '-c', '--check=crc32', '--lzma2=preset=1,dict=1MiB', '-T0'], 'behind microcode', 'sh'],
  ['zstd', ['zstd', '-c', '-1', '-q', '-T0'], 'behind microcode', 'systemd'],
  ['lz4', ['lz4', '-c', '-l', '-1'], 'behind microcode', 'sh'],
];
const UNPACKED = 'lifeboat: drivers of this site are loaded';

const adapter = guestAdapter();
const adapt = (diskPath: string) =>
  adapter.adaptForRecoverySite({ diskPath, dataDisks: [], bootScripts: [], hosts: [], runId: 'run-1' });

/** A RHEL-like guest with the tree's kernel and modules, as far as they are looked at. */
function guestOf(tree: BootTree, image: Buffer): Changes {
  const { release } = tree;
  const usual = rocky();
  const of = (name: string): Buffer => readFileSync(join(tree.root, 'usr', name));
  const modules = [...RECOVERY_MODULES, ...PRIMARY_MODULES].flatMap((one) => tree.withDependencies(one));
  const others = Object.keys(debian(usual)).filter((name) => name.includes(KERNEL));
  return {
    ...usual,
    ...Object.fromEntries(others.map((name) => [name, undefined])),
    ...Object.fromEntries(
      [
        ...['modules.dep', 'modules.builtin', 'modules.alias', 'modules.order'].map(
          (name) => `lib/modules/${release}/${name}`,
        ),
        ...new Set(modules),
      ].map((name) => [`usr/${name}`, of(name)]),
    ),
    [`boot/vmlinuz-${release}`]: 'kernel',
    [`boot/initramfs-${release}.img`]: image,
    [`boot/loader/entries/0123456789abcdef-${release}.conf`]: entry(
      release,
      `root=UUID=${ROOT_UUID} ro $tuned_params`,
    ),
    'boot/grub2/grubenv': grubenv(`saved_entry=0123456789abcdef-${release}\n`),
  };
}

/** An image that dracut makes, behind microcode and not compressed. */
function dracutImage(tree: BootTree, init: keyof typeof DRACUT_MODULES): Buffer {
  const path = '/tmp/lifeboat-dracut.img';
  tree.run([
    ...['dracut', '--quiet', '--force', '--no-hostonly', '--no-hostonly-cmdline', '--reproducible'],
    ...[
      '--nostrip',
      '--nohardlink',
      '-m',
      DRACUT_MODULES[init],
      '--drivers',
      DRIVERS,
      '--filesystems',
      'xfs',
    ],
    ...['--no-compress', '--early-microcode', path, tree.release],
  ]);
  return readFileSync(join(tree.root, path));
}

const trees = bootTrees();
if (trees.length === 0)
  it.skip('(skipped: no real dracut and kernel, or no right to use them)', () => undefined);

describe.each(trees.map((tree) => [tree.name, tree] as const))(
  'with dracut and the kernel of %s',
  (_, tree) => {
    const imagePath = `/boot/initramfs-${tree.release}.img`;
    const scratch = join(tree.root, 'tmp/lifeboat-judged');
    const nvme = newPath();
    let microcode: Buffer;
    const uncompressed: Partial<Record<keyof typeof DRACUT_MODULES, Buffer>> = {};

    beforeAll(() => {
      mkdirSync(scratch, { recursive: true });
      writeFileSync(nvme, '');
      truncateSync(nvme, 2 ** 20);
      const firmware = join(tree.root, 'usr/lib/firmware/intel-ucode');
      mkdirSync(firmware, { recursive: true });
      writeFileSync(join(firmware, '06-1a-05'), Buffer.alloc(2048, 'microcode'));
      for (const init of ['sh', 'systemd'] as const) {
        const both = dracutImage(tree, init);
        microcode = both.subarray(0, both.indexOf('070701', both.indexOf('TRAILER!!!')));
        uncompressed[init] = both.subarray(microcode.length);
      }
      expect(microcode.includes('kernel/x86/microcode/GenuineIntel.bin')).toBe(true);
    });
    afterAll(() => rmSync(scratch, { recursive: true, force: true }));

    /** What a command of the tree makes of dracut's image; without one, the image. */
    const compressed = (command: string[], init: keyof typeof DRACUT_MODULES): Buffer => {
      const image = uncompressed[init]!;
      if (command.length === 0) return image;
      const path = join(scratch, 'uncompressed');
      writeFileSync(path, image);
      return Buffer.from(tree.run([...command, path.slice(tree.root.length)]), 'latin1');
    };

    /** Runs a tool of the tree on an image, and returns the lines that it prints of its files. */
    const judge = (tool: 'lsinitrd' | 'lsinitramfs', image: Buffer): string[] => {
      const path = join(scratch, 'image');
      writeFileSync(path, image);
      // Debian 12's lsinitramfs looks for a compressed part behind every uncompressed one, and ends with 2 where there is none.
      const lines = tree.run([tool, path.slice(tree.root.length)], [0, 2]).split('\n');
      return tool === 'lsinitrd'
        ? lines.filter((line) => /^[-dlc][rwx-]{9} /.test(line))
        : lines.slice(0, -1);
    };

    it.each(COMPRESSIONS)(
      'an initramfs compressed by %s (%j), %s, of %s',
      async (compression, command, front, init) => {
        const own = compressed(command, init);
        const image = front === 'alone' ? own : Buffer.concat([microcode, own]);
        const disk = makeGuest(guestOf(tree, image), 160);
        const before = listing(disk);
        const report = await adapt(disk);
        expect(report).toMatchObject({ kernels: [tree.release], warnings: [] });
        const extended = read(disk, imagePath);
        expect(extended.subarray(0, image.length).equals(image)).toBe(true);
        await adapter.revertForPrimarySite(disk);
        expect(listing(disk)).toEqual(before);
        rmSync(disk);

        // dracut's tool lists all that it did, and both take the segment for an archive of what it shall be.
        const listed = judge('lsinitrd', image);
        expect(listed.length).toBeGreaterThan(200);
        expect(judge('lsinitrd', extended)).toEqual(listed);
        const segment = extended.subarray(extended.indexOf('070701', image.length));
        const ours = judge('lsinitramfs', segment);
        expect(ours.toSorted()).toEqual(
          judge('lsinitrd', segment)
            .map((line) => line.split(/\s+/)[8] ?? '')
            .sort(),
        );
        for (const name of [
          /^lifeboat\/\d\d-nvme\.ko$/,
          /^lifeboat\/\d\d-ena\.ko$/,
          /\/pre-udev\/01-lifeboat\.sh$/,
        ])
          expect(ours).toContainEqual(expect.stringMatching(name));
        // initramfs-tools' reads on behind a part that is not compressed, and no further than one that is.
        if (compression === 'nothing' && front === 'alone')
          expect(judge('lsinitramfs', extended)).toEqual([...judge('lsinitramfs', image), ...ours]);

        // The kernel: it unpacks them all, dracut runs the hook, and the drivers that the image lacked drive the disk. It does not
        // need two boots to show that it reads one uncompressed part behind another.
        if (compression === 'nothing' && front === 'alone') return;
        const path = join(scratch, 'image');
        writeFileSync(path, extended);
        const console = await consoleOfBoot(
          { kernel: tree.kernel, initramfs: path, disk: nvme },
          'root=/dev/nvme0n1 mitigations=off selinux=0 apparmor=0 audit=0',
          new RegExp(`${UNPACKED}|Kernel panic|emergency mode|debug shell`),
        );
        expect(console).toContain(UNPACKED);
        expect(console).toMatch(/nvme nvme0: pci function/);
        expect(console).not.toMatch(/was not loaded|Kernel panic|junk|Initramfs unpacking failed/);
      },
    );
  },
);

/** As grub-mkconfig writes it, with what people put beside it: quotes, conditions, other systems. */
const GRUB_CFG = (release: string): string => `set default="0"
if [ x"\${feature_menuentry_id}" = xy ]; then
  menuentry_id_option="--id"
fi
function load_video {
	insmod all_video
}
menuentry 'Debian GNU/Linux, "the first"' --class debian $menuentry_id_option 'gnulinux-simple' {
	load_video
	set root='hd0,msdos1'
	if [ x$feature_platform_search_hint = xy ]; then
	  search --no-floppy --fs-uuid --set=root --hint='hd0,msdos1' ${ROOT_UUID}
	fi
	echo	'Loading Linux \${release} ...'
	linux	/boot/vmlinuz-${release} root=/dev/sda1 ro quiet "dyndbg=\\"file drivers/usb/* +p\\"" $extra
	initrd	/boot/initrd.img-${release}
}
submenu 'Advanced options' $menuentry_id_option 'advanced' {
	menuentry 'recovery' { linux /boot/vmlinuz-${release} root=UUID=${ROOT_UUID} ro single
	}
}
menuentry 'Windows (on /dev/sdb1)' --class windows $menuentry_id_option 'osprober-chain-1' {
	chainloader +1
}
`;

describe.each(trees.map((tree) => [tree.name, tree] as const))(
  'the tools of %s, on the boot loader and modules of an adapted guest,',
  (_, tree) => {
    const at = (name: string): string => join(tree.root, 'tmp', `lifeboat-boot-${name}`);
    const inside = (path: string): string => path.slice(tree.root.length);
    let disk: string;
    beforeAll(async () => {
      disk = makeGuest(
        {
          ...guestOf(tree, initramfs(undefined, undefined, DRACUT)),
          'boot/grub/grub.cfg': GRUB_CFG(tree.release),
          'boot/grub2/grubenv': grubenv(
            `saved_entry=0123456789abcdef-${tree.release}\nkernelopts=root=/dev/sda1 ro quiet\n`,
          ),
        },
        64,
      );
      writeFileSync(at('before.cfg'), GRUB_CFG(tree.release));
      tree.run(['grub-script-check', inside(at('before.cfg'))]);
      await adapt(disk);
    });

    it('read grub.cfg', () => {
      writeFileSync(at('grub.cfg'), read(disk, '/boot/grub/grub.cfg'));
      tree.run(['grub-script-check', inside(at('grub.cfg'))]);
      expect(read(disk, '/boot/grub/grub.cfg').toString()).toContain(`root=UUID=${ROOT_UUID} ro quiet`);
    });

    it('read grubenv', () => {
      writeFileSync(at('grubenv'), read(disk, '/boot/grub2/grubenv'));
      expect(tree.run(['grub-editenv', inside(at('grubenv')), 'list']).split('\n')).toEqual([
        `saved_entry=0123456789abcdef-${tree.release}`,
        `kernelopts=root=UUID=${ROOT_UUID} ro quiet console=tty0 console=ttyS0,115200`,
        '',
      ]);
    });

    it('read entries of the Boot Loader Specification', () => {
      const esp = at('esp');
      const name = `0123456789abcdef-${tree.release}.conf`;
      mkdirSync(join(esp, 'loader/entries'), { recursive: true });
      mkdirSync(join(esp, 'boot'), { recursive: true });
      writeFileSync(join(esp, 'loader/entries', name), read(disk, `/boot/loader/entries/${name}`));
      writeFileSync(join(esp, `boot/vmlinuz-${tree.release}`), '');
      // It looks at whole file systems only: a mount, which goes with the process, makes it one.
      writeFileSync(
        at('bootctl'),
        'mount --bind "$1" "$1" && exec bootctl list --json=short --esp-path="$1"\n',
      );
      const shown = tree.run(['env', 'SYSTEMD_RELAX_ESP_CHECKS=1', 'sh', inside(at('bootctl')), inside(esp)]);
      const [entry] = [JSON.parse(shown)].flat() as { id: string; options: string; linux: string }[];
      expect(entry).toMatchObject({
        id: name,
        linux: `/boot/vmlinuz-${tree.release}`,
        options: `root=UUID=${ROOT_UUID} ro $tuned_params console=tty0 console=ttyS0,115200`,
      });
    });

    it('find each module whole, of this kernel, and behind all that it needs', () => {
      const path = `/boot/initramfs-${tree.release}.img`;
      const extended = read(disk, path);
      const file = unpack(
        extended.subarray(extended.lastIndexOf('070701', extended.indexOf('lifeboat/00-'))),
      );
      const there = new Set<string>();
      for (const line of file('lifeboat/modules').trim().split('\n')) {
        const [name = '', module = ''] = line.split(' ');
        writeFileSync(at('module.ko'), Buffer.from(file(`lifeboat/${name}`), 'latin1'));
        const field = (what: string): string =>
          tree.run(['modinfo', '-F', what, inside(at('module.ko'))]).trim();
        expect(field('name')).toBe(module);
        expect(field('vermagic').split(' ')[0]).toBe(tree.release);
        for (const need of field('depends').split(',').filter(Boolean))
          expect([...there, ...builtIn(tree)]).toContain(need.replaceAll('-', '_'));
        there.add(module);
      }
      expect([...there]).toEqual(expect.arrayContaining(['nvme', 'ena']));
    });
  },
);

function builtIn(tree: BootTree): string[] {
  const text = readFileSync(join(tree.root, 'usr/lib/modules', tree.release, 'modules.builtin'), 'latin1');
  return [...text.matchAll(/([^/\n]+)\.ko$/gm)].map(([, name = '']) => name.replaceAll('-', '_'));
}
