import { mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { checkImage } from '../../hypervisor/local/images/image-check';
import { allocatedAreas } from '../../hypervisor/local/images/image-map';
import { createVmdk } from '../../hypervisor/local/images/vmdk-create';
import { toolOutput } from '../../host/run-tool';

const MIB = 2 ** 20;
const GIB = 2 ** 30;
const TIB = 2 ** 40;

describe('VMDKs made for failback', () => {
  let directory: string;
  let path: string;
  let flat: string;

  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'vmdk-'));
    path = join(directory, 'disk.vmdk');
    flat = join(directory, 'disk-flat.vmdk');
  });
  afterEach(() => rm(directory, { recursive: true, force: true }));

  const qemuImg = async (...args: string[]) =>
    JSON.parse(await toolOutput('qemu-img', [...args, '--output=json', '-f', 'vmdk', path])) as Record<
      string,
      unknown
    >;
  const qemuIo = (...commands: string[]) =>
    toolOutput('qemu-io', ['-f', 'vmdk', ...commands.flatMap((command) => ['-c', command]), path]);

  it.each([512, 5 * MIB + 512, 256 * MIB, 200 * GIB + 512, 3 * TIB + 512])(
    'of %d bytes are flat to QEMU, empty, and hold what is written',
    async (size) => {
      await createVmdk(path, size);
      const { rawFile } = await checkImage({ path, format: 'vmdk' }, size);
      expect(rawFile).toBe(flat);
      const info = (await qemuImg('info')) as {
        'virtual-size': number;
        'format-specific': { data: { 'create-type': string } };
      };
      expect(info['virtual-size']).toBe(size);
      expect(info['format-specific'].data['create-type']).toBe('monolithicFlat');
      const files = [path, flat];
      expect(await allocatedAreas({ path, format: 'vmdk' }, files)).toEqual([]);
      expect((await stat(flat)).blocks).toBe(0);

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
      expect(areas.reduce((sum, { length }) => sum + length, 0)).toBeLessThanOrEqual(16 * 1024);
    },
  );

  it('larger than a file may be are refused', async () => {
    await expect(createVmdk(path, 62 * TIB)).rejects.toThrow(/EFBIG/);
  });

  it('replaces the rest of a try that was broken off', async () => {
    for (const rest of [path, flat]) await writeFile(rest, Buffer.alloc(3 * MIB, 0x77));
    await createVmdk(path, MIB);
    await qemuIo(`read -P 0 0 ${MIB}`);
  });
});
