import { mkdtemp, open, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { checkImage } from '../../hypervisor/local/image-check';
import { allocatedAreas } from '../../hypervisor/local/image-map';
import { createVmdk } from '../../hypervisor/local/vmdk-create';
import { run } from '../../sandbox/process/run';

const MIB = 2 ** 20;
const GIB = 2 ** 30;
const TIB = 2 ** 40;

describe('VMDKs made for failback', () => {
  let directory: string;
  let path: string;

  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'vmdk-'));
    path = join(directory, 'disk.vmdk');
  });
  afterEach(() => rm(directory, { recursive: true, force: true }));

  const qemuImg = async (...args: string[]) =>
    JSON.parse(await run('qemu-img', [...args, '--output=json', '-f', 'vmdk', path])) as Record<
      string,
      unknown
    >;
  const qemuIo = (...commands: string[]) =>
    run('qemu-io', ['-f', 'vmdk', ...commands.flatMap((command) => ['-c', command]), path]);

  it.each([
    { size: 512, kind: 'monolithicSparse' },
    { size: 5 * MIB + 512, kind: 'monolithicSparse' },
    { size: 256 * MIB, kind: 'monolithicSparse' },
    { size: 200 * GIB + 512, kind: 'monolithicSparse' },
    // Beyond what a sparse VMDK can hold.
    { size: 2 * TIB, kind: 'monolithicFlat' },
    { size: 3 * TIB + 512, kind: 'monolithicFlat' },
  ])(
    'of $size bytes are what QEMU takes for $kind, empty, and hold what is written',
    async ({ size, kind }) => {
      await createVmdk(path, size);
      await checkImage({ path, format: 'vmdk' }, size);
      const info = (await qemuImg('info')) as {
        'virtual-size': number;
        'format-specific': { data: { 'create-type': string } };
      };
      expect(info['virtual-size']).toBe(size);
      expect(info['format-specific'].data['create-type']).toBe(kind);
      if (kind === 'monolithicSparse') expect(await qemuImg('check')).toMatchObject({ 'check-errors': 0 });
      // Tables only.
      const { blocks } = await stat(path);
      expect(blocks * 512).toBeLessThan(4 * MIB);
      const files = kind === 'monolithicSparse' ? [path] : [path, join(directory, 'disk-flat.vmdk')];
      // QEMU itself writes a page of zeros at the start of a flat one.
      expect(await allocatedAreas({ path, format: 'vmdk' }, files)).toEqual(
        kind === 'monolithicSparse' ? [] : [{ offset: 0, length: 4096 }],
      );

      const middle = Math.floor(size / 1024) * 512;
      const last = size - 512;
      for (const [pattern, offset] of [0x11, 0x22, 0x33].map((p, i) => [p, [0, middle, last][i]!] as const))
        await qemuIo(`write -P ${pattern} ${offset} 512`);
      // What lies between is still empty.
      if (middle > 4096) await qemuIo('read -P 0 512 512', `read -P 0 ${middle - 512} 512`);
      await qemuIo(`read -P 0x33 ${last} 512`);
      if (middle > 0 && middle !== last) await qemuIo(`read -P 0x22 ${middle} 512`, 'read -P 0x11 0 512');
      const areas = await allocatedAreas({ path, format: 'vmdk' }, files);
      for (const offset of [0, middle, last])
        expect(areas.some((area) => area.offset <= offset && offset < area.offset + area.length)).toBe(true);
      expect(areas.reduce((sum, { length }) => sum + length, 0)).toBeLessThan(16 * 1024);
    },
  );

  it('replaces the rest of a try that was broken off', async () => {
    const file = await open(path, 'w');
    await file.write(Buffer.alloc(3 * MIB, 0x77));
    await file.close();
    await createVmdk(path, MIB);
    await qemuIo(`read -P 0 0 ${MIB}`);
  });
});
