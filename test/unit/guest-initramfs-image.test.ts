import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { InitramfsImage } from '../../guest/linux/initramfs/image';
import { makerOf } from '../../guest/linux/initramfs/makers';
import { initramfsSegment } from '../../guest/linux/initramfs/segment';
import { archive, DRACUT, initramfs, newPath, removeFixtures } from './guest-fixture';

afterAll(removeFixtures);

const tool =
  (program: string, ...args: string[]) =>
  (input: Buffer): Buffer =>
    execFileSync(program, args, { input, stdio: ['pipe', 'pipe', 'ignore'], maxBuffer: 2 ** 28 });

const read = async (image: Buffer, wanted: RegExp = /^$/): Promise<InitramfsImage> => {
  const path = newPath();
  writeFileSync(path, image);
  return InitramfsImage.read(path, (name) => wanted.test(name));
};

const COMPRESSIONS: [string, (data: Buffer) => Buffer][] = [
  ['none', (data) => data],
  ['gzip', (data) => gzipSync(data)],
  ['zstd', (data) => zstdCompressSync(data)],
  ['xz', tool('xz', '-c', '--check=crc32')],
  ['lzma', tool('xz', '-c', '--format=lzma')],
  ['lz4', tool('lz4', '-l', '-c')],
  ['bzip2', tool('bzip2', '-c')],
  ['lzo', tool('lzop', '-c')],
];

describe.each(COMPRESSIONS)('an initramfs compressed by %s', (_, compress) => {
  const image = initramfs(['vmw-pvscsi.ko.xz'], compress, {
    ...DRACUT,
    'etc/cmdline.d/95x.conf': 'resume=/dev/x',
  });

  it('is read, behind its microcode', async () => {
    const found = await read(image, /^etc\/cmdline\.d\//);
    expect(makerOf(found)?.name).toBe('dracut');
    expect([...found.modules]).toEqual(['vmw_pvscsi']);
    expect(found.texts).toEqual(['etc/cmdline.d/95x.conf']);
    expect(found.text('etc/cmdline.d/95x.conf')).toBe('resume=/dev/x');
    expect(found.has('kernel/x86/microcode')).toBe(true);
    expect(found.typeOf('lib/dracut/hooks/pre-udev')).toBe('directory');
  });

  it('is read with something behind it', async () => {
    const segment = initramfsSegment(image.length, await read(image), [{ path: 'lifeboat/x', content: 'x' }]);
    expect(makerOf(await read(Buffer.concat([image, segment])))?.name).toBe('dracut');
  });

  it('is refused where it is cut off', async () => {
    const microcode = archive({ 'kernel/x86/microcode': 'microcode' }).length;
    for (const kept of [12, Math.ceil(((image.length - microcode) * 2) / 3)]) {
      await expect(read(image.subarray(0, microcode + kept))).rejects.toThrow(/cut off|damaged/);
    }
  });
});

/** One entry of an archive, without the end of it. */
function entry(path: string, mode: number, content: string | number): Buffer {
  const bytes = typeof content === 'number' ? content : content.length;
  const hex = (value: number): string => value.toString(16).padStart(8, '0');
  const fields = [1, mode, 0, 0, 1, 0, bytes, 0, 0, 0, 0, path.length + 1, 0];
  const header = `070701${fields.map(hex).join('')}${path}\0`;
  const padded = header.padEnd(Math.ceil(header.length / 4) * 4, '\0');
  const text = typeof content === 'number' ? '' : content;
  return Buffer.from(padded + text.padEnd(Math.ceil(text.length / 4) * 4, '\0'), 'latin1');
}
const END = entry('TRAILER!!!', 0, '');
const FILE = 0o100644;
const LINK = 0o120777;

describe('a hostile initramfs', () => {
  it.each([
    ['nothing', Buffer.alloc(0), /empty/],
    ['zeros', Buffer.alloc(5000), /empty/],
    ['no archive', Buffer.from('#!/bin/sh\n'), /no kernel unpacks/],
    ['a compressed text', gzipSync('no archive'), /no archive/],
    ['a negative size', Buffer.concat([entry('x', FILE, 0xffffffff), END]), /cut off/],
    ['a name without end', Buffer.concat([entry('x'.repeat(70_000), FILE, ''), END]), /impossible length/],
    [
      'a link of megabytes',
      Buffer.concat([entry('x', LINK, 'y'.repeat(5000)), END]),
      /larger than it can be/,
    ],
    [
      'a wanted file of megabytes',
      Buffer.concat([entry('want', FILE, 'y'.repeat(600_000)), END]),
      /larger than/,
    ],
    [
      'a damaged header',
      Buffer.concat([entry('x', FILE, ''), Buffer.from('070701zz'.padEnd(200, 'z'))]),
      /damaged/,
    ],
    [
      'a hundred thousand entries',
      zstdCompressSync(Buffer.alloc(12_000_000, entry('abc', FILE, ''))),
      /more than 100000/,
    ],
  ])('of %s is refused', async (_, image, message) => {
    await expect(read(image, /^want$/)).rejects.toThrow(message);
  });

  it('that unpacks to gigabytes is refused, without taking their room', async () => {
    const block = Buffer.alloc(64 * 2 ** 20);
    const bomb = Buffer.concat([
      zstdCompressSync(entry('x', FILE, 0xfffffff0)),
      ...Array.from({ length: 40 }, () => zstdCompressSync(block)),
    ]);
    const before = process.memoryUsage().rss;
    await expect(read(bomb)).rejects.toThrow(/unpacks to more than/);
    expect(process.memoryUsage().rss - before).toBeLessThan(400 * 2 ** 20);
  }, 120_000);

  it('whose links go in a circle, or out, leads nowhere', async () => {
    const image = await read(
      Buffer.concat([
        entry('a', LINK, 'b'),
        entry('b', LINK, 'a'),
        entry('up', LINK, '../../../../etc'),
        entry('etc', 0o040755, ''),
        entry('etc/x', FILE, ''),
        END,
      ]),
    );
    expect(image.realpath('a/x')).toBeUndefined();
    expect(image.realpath('up/x')).toBe('etc/x');
    const file = (path: string) => [{ path, content: '' }];
    expect(() => initramfsSegment(0, image, file('a/x'))).toThrow(/link to nowhere/);
    expect(() => initramfsSegment(0, image, file('etc/x/y'))).toThrow(/no directory/);
  });
});
