import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { guestAdapter } from '../../guest/adapter';
import { parseIdentity } from '../../guest/disk/identity';
import { GuestNotAdaptableError, type RecoverySiteAdaptation } from '../../guest/port';
import {
  BOOT_UUID,
  debian,
  debugfs,
  FIRST_SECTOR,
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

const MIB = 1024 * 1024;
const adapter = guestAdapter();
const adaptation = (diskPath: string): RecoverySiteAdaptation => ({
  diskPath,
  dataDisks: [],
  bootScripts: [],
  hosts: [],
  runId: 'run-1',
});
const adapt = (diskPath: string, more: Partial<RecoverySiteAdaptation> = {}) =>
  adapter.adaptForRecoverySite({ ...adaptation(diskPath), ...more });
const NO_DATA = { 'etc/fstab': `UUID=${ROOT_UUID} / ext4 defaults 0 1\n` };

/** Debian with /boot on a partition of its own, as two trees. */
function withBoot(fstabBoot: string): { root: Tree; boot: Tree } {
  const all = debian({
    'etc/fstab': `UUID=${ROOT_UUID} / ext4 defaults 0 1\n${fstabBoot} /boot ext4 defaults 0 2\n`,
  });
  const of = (isBoot: boolean) =>
    Object.entries(all)
      .filter(([path]) => path.startsWith('boot/') === isBoot)
      .map(([path, content]) => [isBoot ? path.slice('boot/'.length) : path, content] as const);
  return { root: Object.fromEntries(of(false)), boot: Object.fromEntries(of(true)) };
}

afterAll(removeFixtures);

describe('the system on its disk', () => {
  it.each([`UUID=${BOOT_UUID}`, '/dev/sda1'])(
    'is found on a GPT disk with /boot apart, mounted by %s',
    async (device) => {
      const { root, boot } = withBoot(device);
      const disk = makeDisk(
        [
          { tree: boot, sizeMiB: 8, uuid: BOOT_UUID },
          { tree: root, sizeMiB: 24, uuid: ROOT_UUID },
          { sizeMiB: 1, type: 'BIOS boot' },
        ],
        'gpt',
      );
      const [bootBefore, rootBefore] = [listing(disk, 1), listing(disk, 9)];
      await adapt(disk);
      expect(read(disk, INITRAMFS.slice('/boot'.length), 1).includes('lifeboat/modules')).toBe(true);
      expect(text(disk, '/grub/grub.cfg', 1)).toContain('ttyS0');
      expect(listing(disk, 9)['/etc/systemd/network/00-lifeboat.network']).toBeDefined();
      await adapter.revertForPrimarySite(disk);
      expect(listing(disk, 1)).toEqual(bootBefore);
      expect(listing(disk, 9)).toEqual(rootBefore);
    },
  );

  it.each(['^metadata_csum', '^64bit,^metadata_csum', '^extent,^64bit,^metadata_csum,^has_journal'])(
    'may be ext4 with %s',
    async (features) => {
      const disk = makeDisk([{ tree: debian(NO_DATA), sizeMiB: 24, uuid: ROOT_UUID, features }]);
      const before = listing(disk);
      await adapt(disk);
      await adapter.revertForPrimarySite(disk);
      expect(listing(disk)).toEqual(before);
    },
  );

  it('is not guessed where two partitions hold one', async () => {
    const disk = makeDisk([
      { tree: debian(), sizeMiB: 24 },
      { tree: debian(), sizeMiB: 24 },
    ]);
    await expect(adapt(disk)).rejects.toThrow(/Partitions 1 and 2 .* which one boots cannot be told/);
  });

  it('is missed where it is not there', async () => {
    await expect(adapt(makeDataDisk())).rejects.toThrow(
      /No file system of the boot disk .* \(partitions: 1: ext4\)/,
    );
  });

  it('is told by what would be needed where it is on LVM', async () => {
    const disk = makeDisk([{ sizeMiB: 8 }]);
    // The label of a physical volume (LVM2): magic, sector, checksum left out, offset of its header, type.
    const label = Buffer.alloc(512);
    label.write('LABELONE', 0);
    label.writeBigUInt64LE(1n, 8);
    label.writeUInt32LE(32, 20);
    label.write('LVM2 001', 24);
    label.write('0123456789abcdefghijklmnopqrstuv', 32);
    label.writeUInt32LE(lvmChecksum(label.subarray(20)), 16);
    poke(disk, FIRST_SECTOR * 512 + 512, label);
    await expect(adapt(disk)).rejects.toThrow(/No file system of the guest has .*LVM2_member/);
  });

  it('needs a partition table', async () => {
    const disk = newPath();
    execFileSync('truncate', ['-s', '1M', disk]);
    await expect(adapt(disk)).rejects.toThrow(GuestNotAdaptableError);
  });

  it('needs the fallback loader where only UEFI can boot it', async () => {
    const disk = makeDisk(
      [
        { sizeMiB: 8, type: 'EFI System' },
        { tree: debian(NO_DATA), sizeMiB: 24, uuid: ROOT_UUID },
      ],
      'gpt',
    );
    const esp = `${disk}@@${MIB}`;
    execFileSync('mformat', ['-i', esp, '-T', String((8 * MIB) / 512), '-h', '16', '-s', '63', '::']);
    const before = read(disk, INITRAMFS, 9);
    await expect(adapt(disk)).rejects.toThrow(/has no EFI\\BOOT\\BOOTX64\.EFI/);
    expect(read(disk, INITRAMFS, 9).equals(before)).toBe(true);
    execFileSync('mmd', ['-i', esp, '::/EFI', '::/EFI/boot']);
    execFileSync('mcopy', ['-i', esp, __filename, '::/EFI/boot/bootx64.efi']);
    await expect(adapt(disk)).resolves.toMatchObject({
      modules: expect.arrayContaining(['nvme']) as string[],
    });
  });
});

describe('names of disks', () => {
  it('are those of the slots, whichever disk boots', async () => {
    const disk = makeGuest({
      'etc/fstab':
        '/dev/sdb1 / ext4 defaults 0 1\n/dev/sda1 /srv ext4 defaults 0 2\n/dev/sdx1 /old ext4 nofail 0 0\n',
      'boot/grub/grub.cfg': '\tlinux /boot/vmlinuz root=/dev/sdb1 ro\n',
    });
    const data = makeDataDisk();
    await adapt(disk, { slot: 5, dataDisks: [{ diskPath: data, slot: 2 }] });
    expect(text(disk, '/etc/fstab')).toMatch(
      new RegExp(
        `\nUUID=${ROOT_UUID} / ext4[^]*\nUUID=22222222-\\S+ /srv ext4[^]*\n/dev/sdx1 /old ext4 nofail`,
      ),
    );
    expect(text(disk, '/boot/grub/grub.cfg')).toContain(`root=UUID=${ROOT_UUID} ro`);
  });

  it('are put right for the swap area that a suspended guest wakes from', async () => {
    const disk = makeDisk([
      {
        tree: debian({ ...NO_DATA, 'etc/initramfs-tools/conf.d/resume': 'RESUME=/dev/sda2\n' }),
        sizeMiB: 24,
        uuid: ROOT_UUID,
      },
      { sizeMiB: 2, type: 'swap' },
    ]);
    const swap = newPath();
    const uuid = '44444444-4444-4444-8444-444444444444';
    execFileSync('truncate', ['-s', '2M', swap]);
    execFileSync('mkswap', ['-U', uuid, swap], { stdio: 'ignore' });
    poke(disk, 25 * MIB, readFileSync(swap));
    await adapt(disk);
    expect(text(disk, '/etc/initramfs-tools/conf.d/resume')).toMatch(new RegExp(`\nRESUME=UUID=${uuid}\n`));
    expect(read(disk, INITRAMFS).includes(`RESUME=UUID=${uuid}\n`)).toBe(true);
    await adapter.revertForPrimarySite(disk);
    expect(text(disk, '/etc/initramfs-tools/conf.d/resume')).toBe('RESUME=/dev/sda2\n');
  });

  it('read from a disk are letters, digits and dashes or nothing', () => {
    expect(parseIdentity('TYPE=ext4\nUUID=11-22\n')).toEqual({ type: 'ext4', uuid: '11-22' });
    expect(parseIdentity('TYPE=ext4\nUUID=11 / x\nLABEL=a\tb\n')).toEqual({ type: 'ext4' });
  });
});

describe('a guest copied while it ran', () => {
  it('has its journal replayed first', async () => {
    const disk = makeGuest({ ...NO_DATA, 'etc/motd': 'old\n'.padEnd(1024, '.') });
    const block = debugfs(disk, ['blocks /etc/motd']).match(/^\d+/m)?.[0] ?? '';
    const newer = newPath();
    execFileSync('truncate', ['-s', '0', newer]);
    poke(newer, 0, Buffer.from('new\n'.padEnd(1024, '.')));
    debugfs(disk, ['jo', `jw -b ${block} ${newer}`, 'jc']);
    expect(dumpe2fs(disk)).toContain('needs_recovery');
    expect(text(disk, '/etc/motd')).toMatch(/^old/);
    await adapt(disk);
    expect(text(disk, '/etc/motd')).toMatch(/^new/);
    expect(dumpe2fs(disk)).not.toContain('needs_recovery');
  });

  it('is refused where its file system cannot be mended without a person', async () => {
    const disk = makeGuest(NO_DATA);
    // Two files claim the same block: which one is right only a person can say.
    const block = debugfs(disk, ['blocks /etc/fstab']).match(/^\d+/m)?.[0] ?? '';
    debugfs(disk, [`sif /etc/hosts flags 0`, `sif /etc/hosts block[0] ${block}`, 'ssv state 2']);
    await expect(adapt(disk)).rejects.toThrow(/errors that are not mended without a person.*e2fsck -f/);
  });
});

function dumpe2fs(disk: string): string {
  return execFileSync('dumpe2fs', ['-h', `${disk}?offset=${MIB}`], {
    stdio: ['ignore', 'pipe', 'ignore'],
  }).toString();
}

/** LVM's CRC-32, from its own starting value and without the last inversion. */
function lvmChecksum(content: Uint8Array): number {
  let crc = 0xf597a6cf;
  for (const byte of content) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1;
  }
  return crc >>> 0;
}
