import { mkdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { guestAdapter } from '../../guest/adapter';
import { PRIMARY_MODULES, RECOVERY_MODULES } from '../../guest/linux/initramfs/drivers';
import { bootTrees, type BootTree } from '../support/boot-tree';
import { consoleOfBoot } from '../support/kernel-boot';
import {
  debian,
  KERNEL,
  listing,
  makeGuest,
  newPath,
  read,
  removeFixtures,
  ROOT_UUID,
} from '../unit/guest-fixture';
import { entry, grubenv, rocky } from '../unit/guest-rocky';

// dracut makes an image in two to ten seconds, a machine without KVM boots in as many.
jest.setTimeout(300_000);
afterAll(removeFixtures);

type Changes = NonNullable<Parameters<typeof debian>[0]>;

/** What the primary site's guest has in its initramfs: its own disks' drivers, and none of EC2's. */
const DRACUT_MODULES = {
  sh: 'base fs-lib kernel-modules rootfs-block udev-rules',
  systemd: 'base dracut-systemd fs-lib kernel-modules rootfs-block systemd systemd-initrd udev-rules',
};
const DRIVERS = 'xfs vmw_pvscsi sd_mod vmxnet3';
/** What the image's main part is compressed with and dracut's option for it, what stands before it, and what its init is. */
const COMPRESSIONS: [string, string, 'alone' | 'behind microcode', keyof typeof DRACUT_MODULES][] = [
  ['nothing', '--no-compress', 'alone', 'sh'],
  ['nothing', '--no-compress', 'behind microcode', 'sh'],
  ['gzip', '--gzip', 'alone', 'systemd'],
  ['xz', '--xz', 'behind microcode', 'sh'],
  ['zstd', '--zstd', 'behind microcode', 'systemd'],
  ['lz4', '--lz4', 'behind microcode', 'sh'],
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

function dracutImage(tree: BootTree, init: keyof typeof DRACUT_MODULES, options: string[]): Buffer {
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
    ...[...options, path, tree.release],
  ]);
  return readFileSync(join(tree.root, path));
}

const trees = bootTrees();
if (trees.length === 0)
  it.skip('(skipped: no real dracut and kernel, or no right to use them)', () => undefined);

describe.each(trees.map((tree) => [tree.name, tree] as const))(
  'with dracut and the kernel of %s',
  (_, tree) => {
    const initramfs = `/boot/initramfs-${tree.release}.img`;
    const scratch = join(tree.root, 'tmp/lifeboat-judged');
    const nvme = newPath();
    let microcode: Buffer;
    let uncompressed: Buffer;

    beforeAll(() => {
      mkdirSync(scratch, { recursive: true });
      writeFileSync(nvme, '');
      truncateSync(nvme, 2 ** 20);
      const firmware = join(tree.root, 'usr/lib/firmware/intel-ucode');
      mkdirSync(firmware, { recursive: true });
      writeFileSync(join(firmware, '06-1a-05'), Buffer.alloc(2048, 'microcode'));
      const both = dracutImage(tree, 'sh', ['--no-compress', '--early-microcode']);
      microcode = both.subarray(0, both.indexOf('070701', both.indexOf('TRAILER!!!')));
      uncompressed = both.subarray(microcode.length);
      expect(microcode.includes('kernel/x86/microcode/GenuineIntel.bin')).toBe(true);
    });
    afterAll(() => rmSync(scratch, { recursive: true, force: true }));

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
      'an initramfs compressed by %s (%s), %s, of %s',
      async (compression, option, front, init) => {
        const own =
          option === '--no-compress'
            ? uncompressed
            : dracutImage(tree, init, [option, '--no-early-microcode']);
        const image = front === 'alone' ? own : Buffer.concat([microcode, own]);
        const disk = makeGuest(guestOf(tree, image), 160);
        const before = listing(disk);
        const report = await adapt(disk);
        expect(report).toMatchObject({ kernels: [tree.release], warnings: [] });
        const extended = read(disk, initramfs);
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

        // The kernel: it unpacks them all, dracut runs the hook, and the drivers that the image lacked drive the disk.
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
