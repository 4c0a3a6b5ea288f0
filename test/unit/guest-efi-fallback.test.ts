import { execFileSync } from 'node:child_process';
import { readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { addEfiFallback, removeEfiFallback } from '../../guest/disk/efi-fallback';
import { directory, newPath, removeFixtures } from './guest-fixture';

/** Where the file system begins on the disk. */
const OFFSET = 2 ** 20;
const DEBIAN = { kind: 'linux', id: 'debian' } as const;

afterAll(removeFixtures);

function mtools(tool: string, disk: string, ...args: string[]): string {
  return execFileSync(tool, ['-i', `${disk}@@${OFFSET}`, ...args], { encoding: 'latin1' });
}

function makeEsp(files: Record<string, string>): string {
  const disk = newPath();
  writeFileSync(disk, '');
  truncateSync(disk, OFFSET + 40 * 2 ** 20);
  mtools('mformat', disk, '-F', '-T', String((40 * 2 ** 20) / 512), '-h', '64', '-s', '32', '::');
  const made = new Set<string>();
  for (const [path, content] of Object.entries(files)) {
    const parts = path.split('/').slice(0, -1);
    parts.forEach((_, index) => {
      const parent = parts.slice(0, index + 1).join('/');
      if (!made.has(parent)) mtools('mmd', disk, `::/${parent}`);
      made.add(parent);
    });
    const host = join(directory, 'loader');
    writeFileSync(host, content);
    mtools('mcopy', disk, host, `::/${path}`);
  }
  return disk;
}

function filesOn(disk: string): Record<string, string> {
  const listed = mtools('mdir', disk, '-b', '-/', '::')
    .split('\n')
    .filter((line) => line !== '' && !line.endsWith('/'));
  const content = (path: string) => mtools('mtype', disk, path);
  return Object.fromEntries(listed.map((path) => [path.slice('::/'.length).toLowerCase(), content(path)]));
}

const LINUX = {
  'EFI/debian/shimx64.efi': 'shim',
  'EFI/debian/grubx64.efi': 'grub',
  'EFI/debian/mmx64.efi': 'mok',
  'EFI/debian/grub.cfg': 'cfg',
};
const lower = (files: Record<string, string>) =>
  Object.fromEntries(Object.entries(files).map(([path, content]) => [path.toLowerCase(), content]));

it('puts shim, GRUB and MokManager where an instance starts them, and takes them away again', async () => {
  const disk = makeEsp(LINUX);
  await expect(addEfiFallback(disk, OFFSET, DEBIAN)).resolves.toHaveLength(3);
  expect(filesOn(disk)).toMatchObject({
    'efi/boot/bootx64.efi': 'shim',
    'efi/boot/grubx64.efi': 'grub',
    'efi/boot/mmx64.efi': 'mok',
  });
  const once = readFileSync(disk);
  await expect(addEfiFallback(disk, OFFSET, DEBIAN)).resolves.toEqual([]);
  expect(readFileSync(disk).equals(once)).toBe(true);
  await removeEfiFallback(disk, OFFSET);
  expect(filesOn(disk)).toEqual(lower(LINUX));
  await expect(removeEfiFallback(disk, OFFSET)).resolves.toEqual([]);
});

it('leaves a fallback loader of Linux as it is', async () => {
  const disk = makeEsp({ ...LINUX, 'EFI/BOOT/BOOTX64.EFI': 'theirs' });
  await expect(addEfiFallback(disk, OFFSET, DEBIAN)).resolves.toEqual([]);
});

it('takes GRUB itself where there is no shim, and SUSE its grub.cfg', async () => {
  const plain = makeEsp({ 'EFI/alpine/grubx64.efi': 'grub' });
  await addEfiFallback(plain, OFFSET, { kind: 'linux', id: 'alpine' });
  expect(filesOn(plain)['efi/boot/bootx64.efi']).toBe('grub');
  const suse = makeEsp({ 'EFI/sles/shim.efi': 's', 'EFI/sles/grub.efi': 'g', 'EFI/sles/grub.cfg': 'c' });
  await addEfiFallback(suse, OFFSET, { kind: 'linux', id: 'sles' });
  expect(filesOn(suse)).toMatchObject({
    'efi/boot/bootx64.efi': 's',
    'efi/boot/grub.efi': 'g',
    'efi/boot/grub.cfg': 'c',
  });
});

it('takes the loader of the guest itself where several systems left theirs, and refuses to guess', async () => {
  const disk = makeEsp({ ...LINUX, 'EFI/ubuntu/grubx64.efi': 'other' });
  await addEfiFallback(disk, OFFSET, DEBIAN);
  expect(filesOn(disk)['efi/boot/bootx64.efi']).toBe('shim');
  const other = makeEsp({ ...LINUX, 'EFI/ubuntu/grubx64.efi': 'other' });
  await expect(addEfiFallback(other, OFFSET, { kind: 'linux', id: 'rhel' })).rejects.toThrow(
    /several systems/,
  );
  await expect(addEfiFallback(makeEsp({}), OFFSET, DEBIAN)).rejects.toThrow(/no shim or GRUB/);
});

it("gives Windows its own loader, keeps the one that was there, and leaves what Windows' updates wrote", async () => {
  const windows = { 'EFI/Microsoft/Boot/bootmgfw.efi': 'new', 'EFI/Boot/bootx64.efi': 'old' };
  const disk = makeEsp(windows);
  await expect(addEfiFallback(disk, OFFSET, { kind: 'windows' })).resolves.toHaveLength(1);
  expect(filesOn(disk)['efi/boot/bootx64.efi']).toBe('new');
  await removeEfiFallback(disk, OFFSET);
  expect(filesOn(disk)).toEqual(lower(windows));

  await addEfiFallback(disk, OFFSET, { kind: 'windows' });
  const updated = join(directory, 'updated');
  writeFileSync(updated, 'updated');
  mtools('mcopy', disk, '-o', updated, '::/EFI/Boot/bootx64.efi');
  await expect(removeEfiFallback(disk, OFFSET)).resolves.toEqual([]);
  expect(filesOn(disk)['efi/boot/bootx64.efi']).toBe('updated');
});

it('removes nothing that a forged record names', async () => {
  const record = {
    version: 1,
    files: [{ path: '/EFI/debian/grub.cfg', ours: 'a'.repeat(64), original: null }],
  };
  const disk = makeEsp({ ...LINUX, 'EFI/Lifeboat/fallback.json': JSON.stringify(record) });
  await expect(removeEfiFallback(disk, OFFSET)).rejects.toThrow(/damaged/);
  expect(filesOn(disk)['efi/debian/grub.cfg']).toBe('cfg');
});
