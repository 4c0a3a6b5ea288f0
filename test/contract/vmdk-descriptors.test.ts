import { open, readFile } from 'node:fs/promises';
import { toolOutput } from '../../host/run-tool';
import { onDisk, write } from './hypervisor-contract';
import { descriptor, PlacedVm, SECTORS, SIZE, someDisk, VM } from './placed-vm';
import { writeAsGuest } from './write-as-guest';

/** Disks are handed out by FUSE, which needs root. */
const asRoot = process.getuid?.() === 0 ? describe : describe.skip;

const HALF = 1024;
const FLAT = `RW ${SECTORS} VMFS "web-flat.vmdk"`;
/** Two parts, which QEMU needs a descriptor for. */
const FIRST = `RW ${HALF} FLAT "one" 2`;
const SECOND = `RW ${SECTORS - HALF} FLAT "two" 0`;

asRoot('descriptors of VMDKs (needs root)', () => {
  let vm: PlacedVm;
  let bytes: Buffer;
  beforeEach(async () => {
    vm = await PlacedVm.make();
    bytes = someDisk();
    await vm.describe('web.vmdk');
    await vm.put({
      'web-flat.vmdk': bytes,
      one: Buffer.concat([Buffer.alloc(1024, 0x55), bytes.subarray(0, HALF * 512)]),
      two: bytes.subarray(HALF * 512),
    });
  });
  afterEach(() => vm.remove());

  const parts = descriptor([FIRST, SECOND], { kind: 'twoGbMaxExtentFlat' });
  const read: Record<string, string | Buffer> = {
    'an empty line before the extent': parts.replace(FIRST, `\n${FIRST}`),
    'blanks and tabs before the extent': parts
      .replace(FIRST, ` \t \n${FIRST}`)
      .replace(SECOND, `\n\t${SECOND}`),
    'many empty lines, and a flat disk': descriptor([FLAT]).replace(FLAT, `\n\n\n${FLAT}\n\n`),
    "Windows' line ends": parts.replaceAll('\n', '\r\n'),
    "Windows' line ends, doubled": parts.replaceAll('\n', '\r\n\r\n'),
    'tabs between the words, and blanks at the ends': parts
      .replace(FIRST, ` ${FIRST.replaceAll(' ', '\t')}  \t`)
      .replace(SECOND, SECOND.replaceAll(' ', '   ')),
    'comments in the middle': parts.replace(SECOND, `# RW 12 FLAT "three" 0\n#\n${SECOND}`),
    'an offset in a VMFS extent': descriptor([`${FLAT} 0`]),
    'no offset in a FLAT extent': parts.replace('"two" 0', '"two"'),
    'blanks around the signs of equality': parts.replaceAll('=', ' = '),
    'keys in capital letters, in another order': `PARENTCID=FFFFFFFF\nCreateType="vmfs"\ncid=1\n${FIRST}\n${SECOND}`,
    'the same key twice': parts.replace(
      'version=1',
      'version=1\nCID=7d3a1b2c\ncreateType="twoGbMaxExtentFlat"',
    ),
    'no CID and no parent': parts.replace(/^(parent)?CID.*\n/gm, ''),
    'no kind': parts.replace(/^createType.*\n/m, ''),
    'the kind "custom"': parts.replace('twoGbMaxExtentFlat', 'custom'),
    'no line end at the end': `${parts.split('# The Disk Data Base')[0]?.trimEnd()}`,
    'the mark of UTF-8, as of Notepad': `\ufeff${parts}`,
    'NULs behind it, as QEMU leaves them': Buffer.concat([
      Buffer.from(parts),
      Buffer.alloc(10_240 - parts.length),
    ]),
    'a line of changed blocks': parts.replace(
      'ddb.adapterType',
      '# Change Tracking File\nchangeTrackPath="web-ctk.vmdk"\n\nddb.adapterType',
    ),
    'words that QEMU looks for anywhere': parts.replace(
      'version=1',
      '# createType="x" CID of parentCID=12345678 parentFileNameHint="/etc/shadow"\nversion=1',
    ),
  };
  it.each(Object.keys(read))('are read with %s', async (what) => {
    await vm.put({ 'web.vmdk': read[what] as string | Buffer });
    expect((await vm.backedUp()).equals(bytes)).toBe(true);
  });

  it.each(['an empty line before the extent', "Windows' line ends", 'words that QEMU looks for anywhere'])(
    'with %s stay as they are while the disk is written and run',
    async (what) => {
      const text = read[what] as string;
      await vm.put({ 'web.vmdk': text });
      await onDisk(await vm.hypervisor.openDisk(VM, 'system'), (file) =>
        write(file, bytes, HALF * 512 - 700, 1400, 0x31),
      );
      expect((await vm.backedUp()).equals(bytes)).toBe(true);
      await vm.hypervisor.powerOn(VM);
      await writeAsGuest(vm.files.home, 0, (HALF - 1) * 512, 1024, 0x32);
      await vm.hypervisor.powerOff(VM);
      bytes.fill(0x32, (HALF - 1) * 512, (HALF + 1) * 512);
      expect((await vm.backedUp()).equals(bytes)).toBe(true);
      // Only its id has changed, by which a delta elsewhere would be taken to fit.
      const after = await readFile(vm.path('web.vmdk'), 'utf8');
      const id = /^CID=([0-9a-f]{8})\r?$/m.exec(after)?.[1];
      expect(id).not.toBe('7d3a1b2c');
      expect(after).toBe(text.replace('7d3a1b2c', id ?? 'none'));
    },
  );

  it('of hundreds of parts are read and run', async () => {
    const count = 410; // more than the 10 KiB that QEMU writes anew
    const extents: string[] = [];
    for (let i = 0; i < count; i++) {
      const sectors = i < count - 1 ? 10 : SECTORS - 10 * (count - 1);
      extents.push(`RW ${sectors} FLAT "web prod-f${String(i + 1).padStart(3, '0')}.vmdk" 0`);
      await vm.put({
        [`web prod-f${String(i + 1).padStart(3, '0')}.vmdk`]: bytes.subarray(
          i * 5120,
          i * 5120 + sectors * 512,
        ),
      });
    }
    await vm.put({ 'web.vmdk': descriptor(extents, { kind: 'twoGbMaxExtentFlat' }) });
    await vm.hypervisor.powerOn(VM);
    await writeAsGuest(vm.files.home, 0, 0, SIZE, 0x33);
    await vm.hypervisor.powerOff(VM);
    expect((await vm.backedUp()).equals(Buffer.alloc(SIZE, 0x33))).toBe(true);
    expect((await vm.backedUp()).equals(Buffer.alloc(SIZE, 0x33))).toBe(true);
  });

  it('of sparse parts with empty lines between are read, written, and run', async () => {
    await vm.put({ 'source.raw': bytes });
    const target = ['-o', 'subformat=twoGbMaxExtentSparse', vm.path('source.raw'), vm.path('web.vmdk')];
    await toolOutput('qemu-img', ['convert', '-f', 'raw', '-O', 'vmdk', ...target]);
    const text = await readFile(vm.path('web.vmdk'), 'utf8');
    expect(text).toContain('SPARSE');
    await vm.put({ 'web.vmdk': text.replace(/^RW/gm, '\n\nRW').replaceAll('\n', '\r\n') });
    expect((await vm.backedUp()).equals(bytes)).toBe(true);
    await vm.hypervisor.powerOn(VM);
    await writeAsGuest(vm.files.home, 0, 512, 512, 0x34);
    await vm.hypervisor.powerOff(VM);
    bytes.fill(0x34, 512, 1024);
    expect((await vm.backedUp()).equals(bytes)).toBe(true);
  });

  it.each([
    ['RDONLY', `RDONLY ${HALF} FLAT "one" 2`, SECOND, 'is only to be read (RDONLY)'],
    ['RDONLY, of a flat disk', `RDONLY ${SECTORS} VMFS "web-flat.vmdk"`, '', 'is only to be read (RDONLY)'],
    ['ZERO', FIRST, `RW ${SECTORS - HALF} ZERO`, 'has no file to write to (ZERO)'],
  ])('with extents that are %s are read, and not written', async (what, first, second, says) => {
    await vm.put({ 'web.vmdk': descriptor([first, second].filter(Boolean)) });
    if (what === 'ZERO') bytes.fill(0, HALF * 512);
    expect((await vm.backedUp()).equals(bytes)).toBe(true);
    await vm.hypervisor.snapshotVm(VM, 'off');
    const areas = (await vm.hypervisor.changedAreas(VM, 'off', 'system')) ?? [];
    expect(areas.reduce((sum, { length }) => sum + length, 0)).toBe(what === 'ZERO' ? HALF * 512 : SIZE);
    for (const attempt of [() => vm.hypervisor.openDisk(VM, 'system'), () => vm.hypervisor.powerOn(VM)]) {
      await expect(attempt()).rejects.toThrow(says);
      await expect(attempt()).rejects.toThrow(/line 1[01] of its descriptor/);
      await expect(attempt()).rejects.toThrow('qemu-img convert');
    }
  });

  const line = 'line 10 of its descriptor, ';
  const told: { what: string; text: string | Buffer; says: string; todo: string }[] = [
    ...['vmfsRawDeviceMap', 'vmfsPassthroughRawDeviceMap'].map((kind) => ({
      what: kind,
      text: descriptor([`RW ${SECTORS} VMFSRDM "web-rdm.vmdk"`], { kind }),
      says: 'it stands for a LUN of the storage (a raw device mapping)',
      todo: 'Convert the mapping into a virtual disk',
    })),
    ...['fullDevice', 'partitionedDevice', 'vmfsRaw'].map((kind) => ({
      what: kind,
      text: descriptor([`RW ${SECTORS} FLAT "\\\\.\\PhysicalDrive0" 0`], { kind }),
      says: 'it stands for a physical disk of the host',
      todo: 'Make an image of the physical disk',
    })),
    {
      what: 'a device under another kind',
      text: descriptor([`RW ${SECTORS} FLAT "/dev/sdb" 0`]),
      says: 'it stands for a physical disk of the host',
      todo: 'Make an image of the physical disk',
    },
    {
      what: 'seSparse without a parent',
      text: descriptor([`RW ${SECTORS} SESPARSE "web-sesparse.vmdk"`], { kind: 'seSparse' }),
      says: 'a space-efficient sparse disk (seSparse)',
      todo: 'Make one whole image of it (in vSphere by cloning the VM',
    },
    {
      what: 'vmfsSparse without a parent',
      text: descriptor([`RW ${SECTORS} VMFSSPARSE "web-delta.vmdk"`], { kind: 'vmfsSparse' }),
      says: '(vmfsSparse), which is not read here',
      todo: 'Make one whole image of it',
    },
    {
      what: 'vSAN',
      text: descriptor([`RW ${SECTORS} VMFS "vsan://5f0e-1"`]),
      says: `${line}"RW ${SECTORS} VMFS "vsan://5f0e-1"", names an object of vSAN, which is no file`,
      todo: 'Move or export the disk',
    },
    {
      what: 'a virtual volume',
      text: descriptor([`RW ${SECTORS} VMFS "vvol://rfc4122.1"`]),
      says: 'names an object of a virtual volume',
      todo: 'Move or export the disk',
    },
    {
      what: 'encrypted by VMware',
      text: descriptor([FLAT]).replace('ddb.adapterType', 'ddb.iofilters = "vmwarevmcrypt"\nddb.adapterType'),
      says: 'it is encrypted by VMware',
      todo: "Decrypt the VM's disks",
    },
    {
      what: 'encrypted, with its key',
      text: descriptor([FLAT]).replace('createType', 'encryptionKeys="vmware:key/list/(pair/…"\ncreateType'),
      says: 'it is encrypted by VMware',
      todo: "Decrypt the VM's disks",
    },
    {
      what: 'NOACCESS',
      text: descriptor([`NOACCESS ${HALF} ZERO`, SECOND]),
      says: `${line}"NOACCESS ${HALF} ZERO", is a part of the disk that nobody may read`,
      todo: 'Make one whole image of it',
    },
    {
      what: 'an unknown type',
      text: descriptor([`RW ${SECTORS} PMEM "web-flat.vmdk" 0`]),
      says: `${line}"RW ${SECTORS} PMEM "web-flat.vmdk" 0", is an extent of type PMEM, which is not read here`,
      todo: 'Make one whole image of it',
    },
    {
      what: 'a name without quotes',
      text: descriptor([`RW ${SECTORS} FLAT web-flat.vmdk 0`]),
      says: `${line}"RW ${SECTORS} FLAT web-flat.vmdk 0", is no extent`,
      todo: 'Correct the line',
    },
    {
      what: 'no size',
      text: descriptor(['RW FLAT "web-flat.vmdk" 0']),
      says: `${line}"RW FLAT "web-flat.vmdk" 0", is no extent`,
      todo: 'Correct the line',
    },
    {
      what: 'sectors of a size below zero',
      text: descriptor([`RW -${SECTORS} FLAT "web-flat.vmdk" 0`]),
      says: 'is no extent',
      todo: 'Correct the line',
    },
    {
      what: 'no sectors',
      text: descriptor([FLAT, 'RW 0 FLAT "one" 0']),
      says: 'line 11',
      todo: 'Correct the line',
    },
    {
      what: 'a line of nothing',
      text: descriptor([FLAT, 'rw 12 FLAT "x" 0']),
      says: 'line 11 of its descriptor, "rw 12 FLAT "x" 0", is none of a descriptor',
      todo: 'Correct the line',
    },
    {
      what: 'two CIDs',
      text: descriptor([FLAT]).replace('isNative', 'CID=11112222\nisNative'),
      says: 'line 6 of its descriptor, "CID=11112222", contradicts line 4',
      todo: 'Correct the line',
    },
    {
      what: 'two parents',
      text: descriptor([FLAT]).replace('isNative', 'parentCID=11112222\nisNative'),
      says: 'contradicts line 5',
      todo: 'Correct the line',
    },
    {
      what: 'a parent that is no number',
      text: descriptor([FLAT], { parentCid: 'none' }),
      says: 'line 5 of its descriptor, "parentCID=none", has no number',
      todo: 'Correct the line',
    },
    {
      what: 'no extent',
      text: descriptor([]),
      says: 'its descriptor (vmfs) names no extent',
      todo: 'Copy the descriptor again',
    },
    {
      what: 'an extent twice',
      text: descriptor([FLAT, FLAT]),
      says: `it is a disk of ${2 * SIZE} bytes, and the VM's has ${SIZE}`,
      todo: 'Correct sizeBytes',
    },
    {
      what: 'UTF-16',
      text: Buffer.from(`\ufeff${descriptor([FLAT])}`, 'utf16le'),
      says: 'saved as UTF-16',
      todo: 'Save it as UTF-8',
    },
    { what: 'nothing', text: '', says: 'it is no VMDK', todo: "Name the disk's descriptor in vm.json" },
    {
      what: 'other text',
      text: 'hello\n',
      says: 'it is no VMDK',
      todo: "Name the disk's descriptor in vm.json",
    },
  ];
  it.each(told)('that cannot be read say why, and what to do: $what', async ({ text, says, todo }) => {
    await vm.put({ 'web.vmdk': text });
    const said = await vm.refusal();
    expect(said).toContain(says);
    expect(said).toContain(todo);
  });

  it('are not taken for their disks, nor parts for the whole', async () => {
    const large = Buffer.alloc(SIZE, 0x41);
    await vm.put({ 'web.vmdk': descriptor([FLAT]), 'web-flat.vmdk': large, 'web-000001-delta.vmdk': large });
    await vm.describe('web-flat.vmdk');
    expect(await vm.refusal()).toContain(
      `It is the disk's bytes: name its descriptor, "web.vmdk", in vm.json`,
    );
    await vm.describe('web-000001-delta.vmdk');
    expect(await vm.refusal()).toContain('by its name it is the data of an open snapshot');
  });

  it('of which the part is named are asked for', async () => {
    await vm.put({ 'source.raw': bytes });
    const target = ['-o', 'subformat=twoGbMaxExtentSparse', vm.path('source.raw'), vm.path('web.vmdk')];
    await toolOutput('qemu-img', ['convert', '-f', 'raw', '-O', 'vmdk', ...target]);
    await vm.describe('web-s001.vmdk');
    const said = await vm.refusal();
    expect(said).toContain('it is a part of a VMDK');
    expect(said).toContain("Name the disk's descriptor");
  });

  describe('in the file of a sparse disk', () => {
    beforeEach(async () => {
      await vm.put({ 'source.raw': bytes });
      await toolOutput('qemu-img', [
        'convert',
        '-f',
        'raw',
        '-O',
        'vmdk',
        vm.path('source.raw'),
        vm.path('web.vmdk'),
      ]);
    });

    const poke = async (offset: number, data: Buffer) => {
      const file = await open(vm.path('web.vmdk'), 'r+');
      await file.write(data, 0, data.length, offset);
      await file.close();
    };

    it('of version 3 are read, and not written', async () => {
      await poke(4, Buffer.from([3]));
      expect((await vm.backedUp()).equals(bytes)).toBe(true);
      await expect(vm.hypervisor.openDisk(VM, 'system')).rejects.toThrow(
        'version 3 (with changed block tracking)',
      );
      await expect(vm.hypervisor.powerOn(VM)).rejects.toThrow('qemu-img convert');
    });

    it.each([
      ['the parent before the disk', /^CID=(.*)\n(parentCID=.*)$/m, '$2\nCID=$1', 'line 3 of its descriptor'],
      [
        'the letters before the line',
        /^# Disk DescriptorFile/m,
        '# CID of the disk    ',
        'has the letters CID before line',
      ],
      ['blanks in the line', /^CID=.*$/m, 'CID = 1234567', 'is not as QEMU reads it'],
      ['no parent', /^parentCID=/m, 'parentXXX=', 'has no parentCID'],
    ])('are refused that QEMU would read or write otherwise: %s', async (_, from, to, says) => {
      const whole = await readFile(vm.path('web.vmdk'));
      const text = whole.toString('latin1', 512, 512 + 20 * 512);
      const changed = text.replace(from, to).slice(0, 20 * 512);
      expect(changed).not.toBe(text);
      await poke(512, Buffer.from(changed, 'latin1'));
      const said = await vm.refusal();
      expect(said).toContain(says);
      expect(said).toContain('qemu-img convert');
    });
  });
});
