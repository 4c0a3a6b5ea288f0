import { mkdir, readFile, rename, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { toolOutput } from '../../host/run-tool';
import { contents, onDisk, write } from './hypervisor-contract';
import { descriptor, PlacedVm, SECTORS, SIZE, someDisk, VM } from './placed-vm';
import { writeAsGuest } from './write-as-guest';

/** Disks are handed out by FUSE, which needs root. */
const asRoot = process.getuid?.() === 0 ? describe : describe.skip;

/** As data centres call VMs, and a few that would mean something to a tool that is not told what they are. */
const STEMS = [
  'Web Server, prod (2)',
  'web+db',
  '[old] web',
  '_web',
  "Bob's",
  'Büro-Köln',
  'Büro', // decomposed, as macOS writes it
  '日本語 サーバ',
  '.hidden',
  '-dash',
  'a "quoted" one',
  '100% web %s%n',
  'old:web',
  'json:{"driver":"raw"}',
  'file:web',
  'nbd:unix:x',
  'fat:rw:x',
  'back\\slash',
  '$HOME `id` ;&|<>*?~#!',
  'a,b,,c=d',
  ' blank ',
  'RW 8 FLAT "x" 0',
  'parentCID=1 CID=2',
  '\u202egnp',
];

asRoot('names of VMDKs (needs root)', () => {
  let vm: PlacedVm;
  let bytes: Buffer;
  beforeEach(async () => {
    vm = await PlacedVm.make();
    bytes = someDisk();
  });
  afterEach(() => vm.remove());

  /** A disk in two parts, so that QEMU reads a descriptor; the first begins somewhere in its file. */
  async function putParts(image: string, first: string, second: string, before = ''): Promise<void> {
    const half = 1024;
    await vm.describe(image);
    await vm.put({
      [image]: descriptor(
        [before, `RW ${half} FLAT "${first}" 3`, `RW ${SECTORS - half} FLAT "${second}" 0`].filter(Boolean),
        { kind: 'twoGbMaxExtentFlat' },
      ),
      [first]: Buffer.concat([Buffer.alloc(3 * 512, 0x55), bytes.subarray(0, half * 512)]),
      [second]: bytes.subarray(half * 512),
    });
  }

  it.each(STEMS)('%j of a flat disk: read, written, and run', async (stem) => {
    await vm.describe(`${stem}.vmdk`);
    await vm.put({
      [`${stem}.vmdk`]: descriptor([`RW ${SECTORS} VMFS "${stem}-flat.vmdk"`]),
      [`${stem}-flat.vmdk`]: bytes,
    });
    expect((await vm.backedUp()).equals(bytes)).toBe(true);
    await onDisk(await vm.hypervisor.openDisk(VM, 'system'), (file) => write(file, bytes, 777, 3000, 0x21));
    expect((await readFile(vm.path(`${stem}-flat.vmdk`))).equals(bytes)).toBe(true);
    await vm.hypervisor.powerOn(VM);
    await writeAsGuest(vm.files.home, 0, 512, 512, 0x22);
    await vm.hypervisor.powerOff(VM);
    bytes.fill(0x22, 512, 1024);
    expect((await readFile(vm.path(`${stem}-flat.vmdk`))).equals(bytes)).toBe(true);
  });

  it.each(STEMS)('%j of a disk in parts: read', async (stem) => {
    await putParts(`${stem}.vmdk`, `${stem}-f001.vmdk`, `${stem}-f002.vmdk`);
    expect((await vm.backedUp()).equals(bytes)).toBe(true);
  });

  it('of a disk in parts: read, written, run, and its areas told', async () => {
    const stem = '[old] Büro, 100% (2)';
    await putParts(`${stem}.vmdk`, `${stem}-f001.vmdk`, `${stem}-f002.vmdk`);
    await onDisk(await vm.hypervisor.openDisk(VM, 'system'), async (file) => {
      await write(file, bytes, 1024 * 512 - 700, 1400, 0x31);
    });
    await vm.hypervisor.powerOn(VM);
    await writeAsGuest(vm.files.home, 0, 1023 * 512, 1024, 0x32);
    bytes.fill(0x32, 1023 * 512, 1025 * 512);
    await vm.hypervisor.snapshotVm(VM, 'live');
    const areas = (await vm.hypervisor.changedAreas(VM, 'live', 'system')) ?? [];
    expect(areas.reduce((sum, { length }) => sum + length, 0)).toBe(SIZE);
    await onDisk(
      await vm.hypervisor.openSnapshotDisk(VM, 'live', 'system'),
      async (file) => expect((await contents(file)).equals(bytes)).toBe(true),
      'r',
    );
    await vm.hypervisor.powerOff(VM);
    const first = await readFile(vm.path(`${stem}-f001.vmdk`));
    expect(first.subarray(3 * 512).equals(bytes.subarray(0, 1024 * 512))).toBe(true);
    expect(first.subarray(0, 3 * 512).equals(Buffer.alloc(3 * 512, 0x55))).toBe(true);
  });

  it.each([
    'Web Server (2).vmdk',
    'WEB.VMDK',
    'Büro.vmdk',
    '日本.vmdk',
    '-x.vmdk',
    'old:web.vmdk',
    "Bob's 100%.vmdk",
  ])('an image %j of one sparse file is read, written, and run', async (image) => {
    await vm.describe(image);
    await vm.put({ 'source.raw': bytes });
    await toolOutput('qemu-img', [
      'convert',
      '-f',
      'raw',
      '-O',
      'vmdk',
      vm.path('source.raw'),
      vm.path('x.vmdk'),
    ]);
    await rename(vm.path('x.vmdk'), vm.path(image));
    expect((await vm.backedUp()).equals(bytes)).toBe(true);
    await vm.hypervisor.snapshotVm(VM, 'off');
    expect(await vm.hypervisor.changedAreas(VM, 'off', 'system')).toHaveLength(1);
    await vm.hypervisor.powerOn(VM);
    await writeAsGuest(vm.files.home, 0, 512, 512, 0x22);
    await vm.hypervisor.powerOff(VM);
    bytes.fill(0x22, 512, 1024);
    expect((await vm.backedUp()).equals(bytes)).toBe(true);
  });

  it.each(['WEB.RAW', 'Web (2).img', 'old:web.qcow2', '%s,x.QCOW2'])('an image %j is read', async (image) => {
    const format = /qcow2$/i.test(image) ? 'qcow2' : 'raw';
    await vm.describe(image, format);
    await vm.put({ 'source.raw': bytes });
    await toolOutput('qemu-img', [
      'convert',
      '-f',
      'raw',
      '-O',
      format,
      vm.path('source.raw'),
      vm.path(image),
    ]);
    expect((await vm.backedUp()).equals(bytes)).toBe(true);
  });

  it.each([
    ['UTF-8', 'Büro', Buffer.from('Büro')],
    ['windows-1252', 'Büro €', Buffer.from([0x42, 0xfc, 0x72, 0x6f, 0x20, 0x80])],
    ['GBK', '中文', Buffer.from([0xd6, 0xd0, 0xce, 0xc4])],
    ['windows-936', '中文', Buffer.from([0xd6, 0xd0, 0xce, 0xc4])],
    // The second half of the second letter is a backslash in ASCII.
    ['Shift_JIS', '東ソ', Buffer.from([0x93, 0x8c, 0x83, 0x5c])],
    ['Big5', '中', Buffer.from([0xa4, 0xa4])],
    ['windows-1251', 'Сервер', Buffer.from([0xd1, 0xe5, 0xf0, 0xe2, 0xe5, 0xf0])],
    // Declared wrongly, as after an editor has saved it.
    ['windows-1252', 'Köln', Buffer.from('Köln')],
    ['GBK', 'Büro', Buffer.from('Büro')],
  ])('are read in the encoding that the descriptor declares: %s, %s', async (encoding, stem, written) => {
    await vm.describe('web.vmdk');
    const text = descriptor([`RW ${SECTORS} FLAT "@-flat.vmdk" 0`], { encoding, kind: 'monolithicFlat' });
    const [before, after] = text.split('@') as [string, string];
    await vm.put({
      'web.vmdk': Buffer.concat([Buffer.from(before), written, Buffer.from(after)]),
      [`${stem}-flat.vmdk`]: bytes,
    });
    expect((await vm.backedUp()).equals(bytes)).toBe(true);
  });

  it.each([
    ['klingon', 'the encoding "klingon", which is not known here'],
    ['UTF-8', 'in other letters than encoding="UTF-8" has'],
    ['UTF-16LE', 'the encoding "UTF-16LE", which is not known here'],
  ])('that cannot be read as %s are told', async (encoding, says) => {
    await vm.describe('web.vmdk');
    const text = descriptor([`RW ${SECTORS} FLAT "\xfc-flat.vmdk" 0`], { encoding });
    await writeFile(vm.path('web.vmdk'), text, 'latin1');
    const said = await vm.refusal();
    expect(said).toContain(says);
    expect(said).toContain(`line 10 of its descriptor, "RW ${SECTORS} FLAT "ü-flat.vmdk" 0"`);
  });

  it.each([
    '/etc/shadow',
    '../../secret',
    'sub/web-flat.vmdk',
    '..',
    '',
    'web\tflat.vmdk',
    'web\x1bflat.vmdk',
    'a'.repeat(256),
  ])('are refused that are none of a file beside it: %j', async (name) => {
    await mkdir(join(vm.files.home, 'sub'));
    await writeFile(join(vm.files.home, 'sub', 'web-flat.vmdk'), bytes);
    await writeFile(join(vm.directory, 'secret'), bytes);
    await vm.describe('web.vmdk');
    await vm.put({ 'web.vmdk': descriptor([`RW ${SECTORS} FLAT "${name}" 0`]) });
    const said = await vm.refusal();
    expect(said).toContain('other things than files beside it');
    expect(said).toContain('line 10 of its descriptor');
  });

  it('of parts are never those of other files: a part that is a link is refused', async () => {
    await putParts('web.vmdk', 'a', 'b');
    await writeFile(join(vm.directory, 'secret'), bytes);
    await rename(vm.path('b'), vm.path('c'));
    await symlink(join(vm.directory, 'secret'), vm.path('b'));
    expect(await vm.refusal()).toContain('symbolic link');
  });

  it('with any ending count when somebody writes to their files behind our back', async () => {
    await putParts('web.vmdk', 'part one', 'zwei.bin');
    await vm.hypervisor.snapshotVm(VM, 'before');
    await vm.hypervisor.releaseSnapshot(VM, 'before');
    await vm.hypervisor.snapshotVm(VM, 'same');
    expect(await vm.hypervisor.changedAreas(VM, 'same', 'system', 'before')).toEqual([]);
    bytes.fill(0x44, 1024 * 512, 1024 * 512 + 100);
    await vm.put({ 'zwei.bin': bytes.subarray(1024 * 512) });
    await vm.hypervisor.snapshotVm(VM, 'after');
    expect(await vm.hypervisor.changedAreas(VM, 'after', 'system', 'same')).toBeUndefined();
    expect((await vm.backedUp()).equals(bytes)).toBe(true);
  });

  it('that vm.json has wrong are told with the file, the field, and what to do', async () => {
    await vm.describe('web.vmdk');
    const path = vm.path('vm.json');
    const good = await readFile(path, 'utf8');
    const says = async (text: string) => {
      await writeFile(path, text);
      return vm.hypervisor.describeVm(VM).then(
        () => 'read',
        (error: unknown) => (error as Error).message,
      );
    };
    for (const name of [
      'a/web.vmdk',
      '../web.vmdk',
      '',
      'web',
      'web.vmdk\n',
      '.vmdk',
      'a\u0000.vmdk',
      `${'ü'.repeat(126)}.vmdk`,
    ]) {
      const said = await says(good.replace('"web.vmdk"', JSON.stringify(name)));
      expect(said).toMatch(/vm\.json cannot be used: images\.system\.file must be .+\. Correct it/);
      expect(said).not.toContain('{');
    }
    expect(await says(good.replace('"vmdk"', '"vmkd"'))).toContain(
      `${path} cannot be used: images.system.format must be "vmdk" or "qcow2" or "raw", not "vmkd"`,
    );
    expect(await says(good.replace(String(SIZE), String(SIZE + 1)))).toContain(
      'configuration.disks[0].sizeBytes',
    );
    expect(await says(good.replace('"slot": 0', '"slot": "0"'))).toContain(
      'configuration.disks[0].slot must be a number, not "0"',
    );
    expect(await says(good.replace('"cpus": 1,', ''))).toContain('configuration.cpus is missing; add it');
    expect(await says(good.slice(0, -3))).toMatch(
      /vm\.json cannot be used: it is no JSON \(.+\)\. Correct it/,
    );
    expect(await says(good)).toBe('read');
  });
});
