import { randomBytes } from 'node:crypto';
import {
  appendFile,
  mkdtemp,
  open,
  readFile,
  rename,
  rm,
  symlink,
  truncate,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { localHypervisor, stopAllVms } from '../../hypervisor/local';
import { VmFiles, type VmFile } from '../../hypervisor/local/vm-files';
import { type Hypervisor } from '../../hypervisor/port';
import { run } from '../../host/run';
import { contents, onDisk, overwrite, write } from './hypervisor-contract';
import { writeAsGuest } from './write-as-guest';

/** Disks are handed out by FUSE, which needs root. */
const asRoot = process.getuid?.() === 0 ? describe : describe.skip;

/** A multiple of 512, but not of 64 KiB (a grain, a cluster) or 512 KiB (a block). */
const SIZE = 9 * 1024 * 1024 + 5 * 512;
const VM = 'db';

type Format = NonNullable<VmFile['images']>[string]['format'];

/** Every kind of image that a VM of a data centre may have, and what `qemu-img` calls it. */
const FORMATS: { kind: string; file: string; format: Format; options?: string }[] = [
  { kind: 'raw', file: 'disk.raw', format: 'raw' },
  { kind: 'qcow2', file: 'disk.qcow2', format: 'qcow2' },
  { kind: 'qcow2 of version 2', file: 'disk.qcow2', format: 'qcow2', options: 'compat=0.10' },
  ...['monolithicSparse', 'monolithicFlat', 'twoGbMaxExtentSparse', 'twoGbMaxExtentFlat', 'vmfs'].map(
    (kind): (typeof FORMATS)[number] => ({
      kind,
      file: 'disk.vmdk',
      format: 'vmdk',
      options: `subformat=${kind === 'vmfs' ? 'monolithicFlat' : kind}`,
    }),
  ),
];
const STREAM_OPTIMIZED: (typeof FORMATS)[number] = {
  kind: 'streamOptimized',
  file: 'disk.vmdk',
  format: 'vmdk',
  options: 'subformat=streamOptimized',
};

asRoot('disk formats of the local hypervisor (needs root)', () => {
  let directory: string;
  let files: VmFiles;
  let hypervisor: Hypervisor;

  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'formats-'));
    files = new VmFiles(directory, VM);
    hypervisor = localHypervisor({ directory });
  });
  afterEach(async () => {
    await stopAllVms(directory);
    await rm(directory, { recursive: true, force: true });
  });

  /** Puts a VM there as somebody would who brings its image along. */
  async function place(file: string, format: Format): Promise<void> {
    await files.write({
      version: 1,
      configuration: {
        cpus: 1,
        memoryMiB: 64,
        firmware: 'bios',
        nics: [],
        guestOs: 'debian12',
        disks: [{ key: 'system', sizeBytes: SIZE, slot: 0, boot: true }],
      },
      images: { system: { file, format } },
      revision: 0,
    });
  }

  async function placeDisk(
    { kind, file, format, options }: (typeof FORMATS)[number],
    bytes: Buffer,
  ): Promise<void> {
    await place(file, format);
    const raw = join(directory, 'source.raw');
    const path = join(files.home, file);
    await writeFile(raw, bytes);
    await run('qemu-img', [
      ...['convert', '-f', 'raw', '-O', format],
      ...(options === undefined ? [] : ['-o', options]),
      ...[raw, path],
    ]);
    if (kind !== 'vmfs') return;
    const descriptor = await readFile(path, 'latin1');
    await writeFile(
      path,
      descriptor.replace('monolithicFlat', 'vmfs').replace(/FLAT ("[^"]+") 0/, 'VMFS $1'),
      'latin1',
    );
  }

  async function expectSnapshot(id: string, expected: Buffer): Promise<void> {
    await hypervisor.snapshotVm(VM, id);
    const disk = await hypervisor.openSnapshotDisk(VM, id, 'system');
    await expect(overwrite(disk.path)).rejects.toThrow();
    await onDisk(disk, async (file) => expect((await contents(file)).equals(expected)).toBe(true), 'r');
  }

  it.each(FORMATS)('reads and writes $kind, byte for byte, with the VM off and running', async (format) => {
    const expected = randomDisk();
    await placeDisk(format, expected);
    expect((await hypervisor.describeVm(VM)).disks).toEqual([
      { key: 'system', sizeBytes: SIZE, slot: 0, boot: true },
    ]);
    await expectSnapshot('off', expected);
    await hypervisor.releaseSnapshot(VM, 'off');

    await onDisk(await hypervisor.openDisk(VM, 'system'), async (file) => {
      await write(file, expected, 3 * 1024 * 1024 - 77, 200_000, 0x11);
      await write(file, expected, SIZE - 3, 3, 0x12);
    });
    await hypervisor.powerOn(VM);
    await writeAsGuest(files.home, 0, 4 * 1024 * 1024 + 512, 1536, 0x13);
    expected.fill(0x13, 4 * 1024 * 1024 + 512, 4 * 1024 * 1024 + 2048);
    await hypervisor.snapshotVm(VM, 'live');
    await writeAsGuest(files.home, 0, 0, 1024 * 1024, 0x14);
    await expectSnapshot('live', expected);
    await hypervisor.powerOff(VM);
    expected.fill(0x14, 0, 1024 * 1024);
    await hypervisor.releaseSnapshot(VM, 'live');
    await expectSnapshot('off again', expected);
  });

  it('reads streamOptimized with the VM off, and says why it cannot do more', async () => {
    const expected = randomDisk();
    await placeDisk(STREAM_OPTIMIZED, expected);
    await expectSnapshot('off', expected);
    await expect(hypervisor.openDisk(VM, 'system')).rejects.toThrow('streamOptimized');
    await expect(hypervisor.powerOn(VM)).rejects.toThrow('streamOptimized');
    expect((await hypervisor.describeVm(VM)).power).toBe('off');
  });

  it('takes a raw disk for nothing else, whatever its guest writes to it', async () => {
    const secret = join(directory, 'secret');
    await writeFile(secret, Buffer.alloc(SIZE, 0x55));
    const hostile = join(directory, 'hostile.qcow2');
    await run('qemu-img', ['create', '-q', '-f', 'qcow2', '-b', secret, '-F', 'raw', hostile, String(SIZE)]);
    const expected = randomDisk();
    (await readFile(hostile)).copy(expected);
    await placeDisk({ kind: 'raw', file: 'disk.img', format: 'raw' }, expected);
    await expectSnapshot('off', expected);
    await hypervisor.releaseSnapshot(VM, 'off');
    await hypervisor.powerOn(VM);
    await expectSnapshot('live', expected);
    await hypervisor.powerOff(VM);

    // The same bytes in the extent of a VMDK.
    await placeDisk(
      FORMATS.find(({ kind }) => kind === 'monolithicFlat')!,
      expected,
    );
    await expectSnapshot('flat', expected);
    await hypervisor.releaseSnapshot(VM, 'flat');
    await hypervisor.powerOn(VM);
    await expectSnapshot('flat live', expected);
  });

  it('does not let a disk change while a snapshot of it is being read', async () => {
    await placeDisk(FORMATS[0]!, randomDisk());
    await hypervisor.snapshotVm(VM, 'off');
    const disk = await hypervisor.openSnapshotDisk(VM, 'off', 'system');
    await expect(hypervisor.powerOn(VM)).rejects.toThrow('is being read from a snapshot');
    await expect(hypervisor.openDisk(VM, 'system')).rejects.toThrow('is being read from a snapshot');
    await disk.close();
    await hypervisor.powerOn(VM);
  });

  const qemuImg = (...args: string[]) => run('qemu-img', args);
  const sparse = FORMATS.find(({ kind }) => kind === 'monolithicSparse')!;
  const flat = FORMATS.find(({ kind }) => kind === 'monolithicFlat')!;
  const qcow2 = FORMATS.find(({ kind }) => kind === 'qcow2')!;

  const hostile: { what: string; says: string; place: (secret: string) => Promise<void> }[] = [
    {
      what: 'a qcow2 image with a backing file',
      says: 'backing file',
      async place(secret) {
        await place('disk.qcow2', 'qcow2');
        const path = join(files.home, 'disk.qcow2');
        await qemuImg('create', '-q', '-f', 'qcow2', '-b', secret, '-F', 'raw', path, String(SIZE));
      },
    },
    {
      what: 'a qcow2 image with an external data file',
      says: 'external data file',
      async place(secret) {
        await place('disk.qcow2', 'qcow2');
        const path = join(files.home, 'disk.qcow2');
        const options = `data_file=${join(directory, 'data')},data_file_raw=on`;
        await qemuImg('create', '-q', '-f', 'qcow2', '-o', options, path, String(SIZE));
        await qemuImg('amend', '-q', '-f', 'qcow2', '-o', `data_file=${secret}`, path);
      },
    },
    {
      what: 'a qcow2 image of another size',
      says: 'and the VM',
      async place() {
        await place('disk.qcow2', 'qcow2');
        await qemuImg('create', '-q', '-f', 'qcow2', join(files.home, 'disk.qcow2'), String(SIZE + 512));
      },
    },
    {
      what: 'a raw image of another size',
      says: `and the disk ${SIZE}`,
      async place() {
        await placeDisk(FORMATS[0]!, randomDisk());
        await truncate(join(files.home, 'disk.raw'), SIZE + 512);
      },
    },
    {
      what: 'a link out of the directory',
      says: 'symbolic link',
      async place(secret) {
        await place('disk.raw', 'raw');
        await symlink(secret, join(files.home, 'disk.raw'));
      },
    },
    {
      what: 'a VMDK with a parent',
      says: 'a parent',
      async place(secret) {
        await place('disk.vmdk', 'vmdk');
        const parent = join(directory, 'parent.vmdk');
        await qemuImg('convert', '-f', 'raw', '-O', 'vmdk', secret, parent);
        await qemuImg(
          'create',
          '-q',
          '-f',
          'vmdk',
          '-b',
          parent,
          '-F',
          'vmdk',
          join(files.home, 'disk.vmdk'),
        );
      },
    },
    {
      what: 'a flat VMDK whose extent is elsewhere',
      says: 'files beside it',
      async place(secret) {
        await placeDisk(flat, randomDisk());
        await edit('disk.vmdk', (text) => text.replace('disk-flat.vmdk', secret));
      },
    },
    {
      what: 'a flat VMDK whose extent is above its directory',
      says: 'files beside it',
      async place() {
        await placeDisk(flat, randomDisk());
        await edit('disk.vmdk', (text) => text.replace('disk-flat.vmdk', '../../secret'));
      },
    },
    {
      what: 'a flat VMDK whose extent is a link',
      says: 'symbolic link',
      async place(secret) {
        await placeDisk(flat, randomDisk());
        await rm(join(files.home, 'disk-flat.vmdk'));
        await symlink(secret, join(files.home, 'disk-flat.vmdk'));
      },
    },
    {
      what: 'a flat VMDK whose extent is too short',
      says: 'and should have',
      async place() {
        await placeDisk(flat, randomDisk());
        await truncate(join(files.home, 'disk-flat.vmdk'), SIZE - 512);
      },
    },
    {
      what: 'a flat VMDK that has lost its extent',
      says: 'no such file',
      async place() {
        await placeDisk(flat, randomDisk());
        await rename(join(files.home, 'disk-flat.vmdk'), join(directory, 'elsewhere'));
      },
    },
    {
      what: 'a sparse VMDK that is a descriptor in disguise',
      says: 'without a size',
      async place(secret) {
        await placeDisk(sparse, randomDisk());
        const file = await open(join(files.home, 'disk.vmdk'), 'r+');
        await file.write(Buffer.alloc(8), 0, 8, 12); // its capacity
        const extents = `createType="monolithicFlat"\nRW ${SIZE / 512} FLAT "${secret}" 0\n\0`;
        await file.write(extents, 512, 'latin1');
        await file.close();
      },
    },
    {
      what: 'a VMDK of another size',
      says: 'and the VM',
      async place() {
        await placeDisk(sparse, randomDisk());
        const file = await files.read();
        file.configuration.disks[0]!.sizeBytes = SIZE - 512;
        await files.write(file);
      },
    },
    {
      what: 'a streamOptimized VMDK without its end',
      says: 'its end is missing',
      async place() {
        await placeDisk(STREAM_OPTIMIZED, randomDisk());
        const path = join(files.home, 'disk.vmdk');
        // As VMware writes them: the header says that the directory is at the end, where this one has no footer.
        const file = await open(path, 'r+');
        await file.write(Buffer.alloc(8, 0xff), 0, 8, 56);
        await file.close();
        await appendFile(path, Buffer.alloc(2048));
      },
    },
    {
      what: 'another format than the VM says',
      says: 'it is no qcow2 image',
      async place() {
        await placeDisk(sparse, randomDisk());
        await rename(join(files.home, 'disk.vmdk'), join(files.home, 'disk.qcow2'));
        await place('disk.qcow2', 'qcow2');
      },
    },
    {
      what: 'a format of QEMU that is none of these',
      says: 'is no VMDK',
      async place() {
        await place('disk.vmdk', 'vmdk');
        await qemuImg('create', '-q', '-f', 'vdi', join(files.home, 'disk.vmdk'), String(SIZE));
      },
    },
  ];

  it.each(hostile)('refuses $what, and opens nothing', async ({ place: placeHostile, says }) => {
    const secret = join(directory, 'secret');
    await writeFile(secret, Buffer.alloc(SIZE, 0x55));
    await placeHostile(secret);
    await hypervisor.snapshotVm(VM, 'off');
    await expect(hypervisor.openSnapshotDisk(VM, 'off', 'system')).rejects.toThrow(says);
    await expect(hypervisor.openDisk(VM, 'system')).rejects.toThrow(says);
    await expect(hypervisor.powerOn(VM)).rejects.toThrow(says);
    expect((await hypervisor.describeVm(VM)).power).toBe('off');
  });

  it.each(['../disk.raw', '/etc/shadow', 'vm.json', 'console.log', '.raw', 'disk.raw\n', 'a/b.raw'])(
    'takes no image named %j',
    async (file) => {
      await expect(place(file, 'raw')).rejects.toThrow();
    },
  );

  it('takes no image for two disks', async () => {
    await placeDisk(qcow2, randomDisk());
    const file = await files.read();
    file.configuration.disks.push({ key: 'data', sizeBytes: SIZE, slot: 1, boot: false });
    file.images!.data = { file: 'disk.qcow2', format: 'qcow2' };
    await expect(files.write(file)).rejects.toThrow('two disks');
  });

  async function edit(name: string, change: (text: string) => string): Promise<void> {
    const path = join(files.home, name);
    await writeFile(path, change(await readFile(path, 'latin1')), 'latin1');
  }
});

/** Random bytes at random places, with holes between and zeros at the end of some. */
function randomDisk(): Buffer {
  const disk = Buffer.alloc(SIZE);
  for (let i = 0; i < 12; i++) {
    const offset = Math.floor(Math.random() * (SIZE - 1));
    randomBytes(Math.min(SIZE - offset, 1 + Math.floor(Math.random() * 300_000))).copy(disk, offset);
  }
  randomBytes(700).copy(disk, SIZE - 700);
  return disk;
}
