import { copyFileSync, readFileSync, rmSync, statSync } from 'node:fs';
import fc from 'fast-check';
import { readGuestDisks } from '../../guest/disk/guest-disks';
import { findLayout } from '../../guest/disk/layout';
import { parsePartitionTable } from '../../guest/disk/partitions';
import { parseGroup, readPhysicalVolume } from '../../guest/disk/volume-groups';
import { isBitLocker } from '../../guest/windows/bitlocker';
import { parseGrubenv, withGrubenvValue } from '../../guest/linux/boot/grubenv';
import { parseBlsEntry } from '../../guest/linux/boot/bls';
import { parseGrubMenu } from '../../guest/linux/boot/grub-menu';
import { GuestFileError } from '../../guest/files/port';
import { GuestNotAdaptableError } from '../../guest/port';
import { ToolTooOldError } from '../../guest/port';
import { emptyDisk, onDisks, removeDisks } from '../unit/appliance-fixture';
import { makeDisk, newPath, poke, removeFixtures } from '../unit/guest-fixture';
import { grubenv } from '../unit/guest-rocky';
import { damage, damaged, inputs, inputsMs, oddText, thoughtOf } from './inputs';
import { partition } from '../support/partition';

/** Each looks at a disk by some five programs. */
const SHARE = 0.25;
const LONGEST_MS = 20_000;
const MIB = 2 ** 20;
const LVM = '/bin/lvm';

afterAll(() => {
  removeDisks();
  removeFixtures();
});

const bytes = fc.oneof(
  fc.uint8Array({ minLength: 1, maxLength: 16 }),
  fc.constantFrom(...[0, 0xff, 0x7f].map((value) => new Uint8Array(8).fill(value))),
  fc
    .constantFrom('LABELONE', 'LVM2 001', 'XFSB', '_BHRfS_M', 'NTFS    ', '-FVE-FS-', 'EFI PART')
    .map((text) => Buffer.from(text)),
);
/** Where the structures of a file system are that begins at a byte, as far as anything looks at them here. */
const structures = (start: number) =>
  fc.oneof(
    fc.nat(511).map((at) => start + at),
    fc.integer({ min: 512, max: 4096 }).map((at) => start + at),
    // ext4's superblock, the text of LVM, the first superblock of btrfs.
    fc.integer({ min: 1024, max: 1024 + 264 }).map((at) => start + at),
    fc.integer({ min: 4096, max: 4096 + 4096 }).map((at) => start + at),
    fc.integer({ min: 65_536, max: 65_536 + 4096 }).map((at) => start + at),
  );

/** Read in words, or refused in words; nothing is written. */
async function judged(disk: string): Promise<void> {
  const { mtimeNs: before } = statSync(disk, { bigint: true });
  const began = performance.now();
  for (const look of [
    () => readGuestDisks(disk, { slot: 0, dataDisks: [] }),
    () => findLayout(disk),
    () => readPhysicalVolume(disk, MIB),
    () => isBitLocker(disk, MIB),
  ]) {
    const error = await thoughtOf(look);
    // Besides what is the guest's fault: the system's own words for what its tools cannot read.
    if (
      error !== undefined &&
      !(
        error instanceof GuestNotAdaptableError ||
        error instanceof GuestFileError ||
        error instanceof ToolTooOldError
      )
    )
      expect(error.message).toMatch(
        /^(The partition table of|blkid cannot read|debugfs cannot open|debugfs on) /,
      );
    expect(error?.message.length ?? 0).toBeLessThan(5000);
  }
  expect(performance.now() - began).toBeLessThan(LONGEST_MS);
  expect(statSync(disk, { bigint: true }).mtimeNs).toBe(before);
}

describe('disks with damaged structures', () => {
  const disks: Record<string, string> = {};
  beforeAll(async () => {
    const small = { sizeMiB: 3, tree: { 'etc/fstab': '', 'etc/os-release': 'ID=x\n' } };
    disks['MBR and ext4'] = makeDisk([small]);
    disks['GPT and ext4'] = makeDisk([small, { sizeMiB: 2 }], 'gpt');
    const made = { xfs: emptyDisk(304), btrfs: emptyDisk(128), LVM: emptyDisk(16), NTFS: emptyDisk(16) };
    for (const disk of Object.values(made)) partition(disk, 'label: gpt\n,\n');
    await onDisks(Object.values(made), [
      ['/bin/mkfs.xfs', '-q', '/dev/nvme0n1p1'],
      ['/bin/mkfs.btrfs', '-q', '/dev/nvme0n2p1'],
      [LVM, 'pvcreate', '/dev/nvme0n3p1'],
      [LVM, 'vgcreate', 'vg0', '/dev/nvme0n3p1'],
      [LVM, 'lvcreate', '-y', '-n', 'root', '-L', '4m', 'vg0'],
      [LVM, 'vgchange', '-an'],
      ['/bin/mkntfs', '-q', '-F', '/dev/nvme0n4p1'],
    ]);
    // What is looked at lies in the first MiBs, but for the GPT's copy.
    for (const [name, disk] of Object.entries(made)) disks[name] = disk;
  }, 240_000);

  it.each(['MBR and ext4', 'GPT and ext4', 'LVM', 'NTFS', 'xfs', 'btrfs'])(
    '%s',
    async (name) => {
      const whole = disks[name]!;
      const disk = newPath();
      copyFileSync(whole, disk);
      await judged(disk);
      const [content] = (await readGuestDisks(disk, { slot: 0, dataDisks: [] }))[0]?.contents ?? [];
      expect(content?.identity.type).toBe(
        { LVM: 'LVM2_member', NTFS: 'ntfs', xfs: 'xfs', btrfs: 'btrfs' }[name] ?? 'ext4',
      );
      if (name === 'LVM') expect(content?.physicalVolume?.group?.volumes).toEqual(['root']);
      const original = readFileSync(whole);
      const table = fc.oneof(
        fc.nat(511),
        fc.integer({ min: 512, max: 2048 }),
        fc.nat(512 * 33).map((at) => original.length - 512 * 33 + at),
      );
      const places = fc.array(fc.tuple(fc.oneof(structures(MIB), table), bytes), {
        minLength: 1,
        maxLength: 12,
      });
      await fc.assert(
        fc.asyncProperty(places, async (changes) => {
          const inside = changes.map(
            ([at, what]) => [Math.min(at, original.length - what.length), what] as const,
          );
          for (const [at, what] of inside) poke(disk, at, what);
          await judged(disk);
          for (const [at, what] of inside) poke(disk, at, original.subarray(at, at + what.length));
        }),
        inputs(name === 'xfs' || name === 'btrfs' ? SHARE / 5 : SHARE),
      );
      rmSync(disk);
    },
    inputsMs(SHARE * 5),
  );
});

const METADATA = `rhel {
id = "${'abcdef'}-${'abcd-'.repeat(5)}abcdef"
physical_volumes {
pv0 {
id = "${'ghijkl'}-${'ghij-'.repeat(5)}ghijkl"
}
}
logical_volumes {
root {
id = "x"
}
}
}
`;
const TABLE = JSON.stringify({
  partitiontable: {
    label: 'gpt',
    id: '0x1234abcd',
    device: '/dev/x',
    unit: 'sectors',
    sectorsize: 512,
    partitions: [{ node: '/dev/x1', start: 2048, size: 4096, type: '83', uuid: 'abcdef01-2345', name: 'x' }],
  },
});

it(
  'texts of LVM, GRUB and the Boot Loader Specification that say anything',
  () => {
    expect(parseGroup(METADATA)?.volumes).toEqual(['root']);
    const environment = grubenv('saved_entry=1\nkernelopts=root=x\n');
    const menu = "menuentry 'x' {\n linux /boot/vmlinuz root=x\n}\nsubmenu 'y' {\n menuentry 'z' {\n}\n}\n";
    const bls = 'title x\nversion 1\nlinux /vmlinuz\ninitrd /i $x\noptions a b\n';
    fc.assert(
      fc.property(damage, fc.array(oddText, { maxLength: 30 }), (how, texts) => {
        for (const [whole, parse] of [
          [METADATA, parseGroup],
          [environment, parseGrubenv],
          [menu, (text: string) => parseGrubMenu(text, '/boot/grub/grub.cfg')],
          [bls, (text: string) => parseBlsEntry(text, '/boot/loader/entries/x.conf')],
        ] as const) {
          for (const text of [
            damaged(Buffer.from(whole), how).toString('latin1'),
            whole + texts.join('\n'),
            texts.join(whole),
          ]) {
            const began = performance.now();
            parse(text);
            expect(performance.now() - began).toBeLessThan(LONGEST_MS);
          }
        }
        const text = damaged(Buffer.from(environment), how).toString('latin1');
        const value = texts.join(' ');
        const changed = withGrubenvValue(text, 'kernelopts', value);
        if (changed !== undefined) expect(changed).toHaveLength(text.length);
        if (changed !== undefined && parseGrubenv(text).has('kernelopts'))
          expect(parseGrubenv(changed).get('kernelopts')).toBe(value);
      }),
      inputs(5),
    );
  },
  inputsMs(5),
);

it(
  'names deep in one another take no stack',
  () => {
    const deep = "submenu 'x' {\n".repeat(20_000);
    expect(() => parseGrubMenu(deep, '/boot/grub/grub.cfg')).not.toThrow(RangeError);
    expect(() => parseGroup('x {\n'.repeat(100_000))).not.toThrow(RangeError);
  },
  inputsMs(),
);

it(
  'a partition table of numbers that lie',
  async () => {
    const number = fc.oneof(fc.integer(), fc.constantFrom(-1, 0, 2 ** 53, 1e308));
    await fc.assert(
      fc.asyncProperty(number, number, oddText, async (start, size, node) => {
        const table = JSON.parse(TABLE) as { partitiontable: { partitions: Record<string, unknown>[] } };
        table.partitiontable.partitions.push({ node, start, size, type: node, uuid: node, name: node });
        const error = await thoughtOf(() => parsePartitionTable(JSON.stringify(table)));
        if (error !== undefined) expect(error).toBeInstanceOf(GuestNotAdaptableError);
      }),
      inputs(),
    );
  },
  inputsMs(),
);
