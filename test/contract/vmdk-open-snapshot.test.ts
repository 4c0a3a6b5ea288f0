import { mkdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { toolOutput } from '../../host/run-tool';
import { descriptor, PlacedVm, SECTORS, SIZE, someDisk, VM } from './placed-vm';

/** Disks are handed out by FUSE, which needs root. */
const asRoot = process.getuid?.() === 0 ? describe : describe.skip;

const CID = '7d3a1b2c';
const qemuImg = (...args: string[]) => toolOutput('qemu-img', args);

/** A delta's descriptor, as ESXi writes it for a snapshot of `system.vmdk`. */
const delta = (kind: string, values: Record<string, string> = {}, name = 'system-000001') => {
  const [type, data] = kind === 'seSparse' ? ['SESPARSE', 'sesparse'] : ['VMFSSPARSE', 'delta'];
  return descriptor([`RW ${SECTORS} ${type} "${name}-${data}.vmdk"`], {
    cid: '0badcafe',
    parentCid: CID,
    hint: 'system.vmdk',
    kind,
    ...values,
  });
};

asRoot('an open snapshot (needs root)', () => {
  let vm: PlacedVm;
  let bytes: Buffer;

  /** A whole disk, sound and complete, as it lies beside the delta. */
  beforeEach(async () => {
    vm = await PlacedVm.make();
    bytes = someDisk();
    await vm.describe('system.vmdk');
    await vm.put({
      'system.vmdk': descriptor([`RW ${SECTORS} VMFS "system-flat.vmdk"`], { cid: CID }),
      'system-flat.vmdk': bytes,
    });
  });
  afterEach(() => vm.remove());

  const deltas: { what: string; names: string; put: () => Promise<void> }[] = [
    {
      what: 'seSparse',
      names: 'system-000001.vmdk',
      put: () => vm.put({ 'system-000001.vmdk': delta('seSparse'), 'system-000001-sesparse.vmdk': 'data' }),
    },
    {
      what: 'vmfsSparse',
      names: 'system-000001.vmdk',
      put: () => vm.put({ 'system-000001.vmdk': delta('vmfsSparse'), 'system-000001-delta.vmdk': 'COWD' }),
    },
    {
      what: 'vmfsSparse, of a disk whose CID has changed since',
      names: 'system-000003.vmdk',
      put: () => vm.put({ 'system-000003.vmdk': delta('vmfsSparse', { parentCid: '11112222' }) }),
    },
    {
      what: 'vmfsSparse, with the path of its datastore',
      names: 'system-000001.vmdk',
      put: () =>
        vm.put({
          'system-000001.vmdk': delta('vmfsSparse', {
            parentCid: '11112222',
            hint: '/vmfs/volumes/5f0e-1/db/system.vmdk',
          }),
        }),
    },
    {
      what: 'the same from Windows, with another case',
      names: 'Rechner.vmdk',
      put: () =>
        vm.put({
          'Rechner.vmdk': delta('vmfsSparse', { parentCid: '11112222', hint: 'C:\\VMs\\SYSTEM.vmdk' }),
        }),
    },
    {
      what: 'any, that names nothing, by the CID',
      names: 'else.vmdk',
      put: () => vm.put({ 'else.vmdk': delta('vmfsSparse').replace(/^parentFileNameHint.*\n/m, '') }),
    },
    {
      what: 'a second one, whose first is not here',
      names: 'system-000002.vmdk',
      put: () =>
        vm.put({
          'system-000002.vmdk': delta(
            'vmfsSparse',
            { parentCid: '33334444', hint: 'system-000001.vmdk' },
            'system-000002',
          ),
        }),
    },
    ...['monolithicSparse', 'twoGbMaxExtentSparse'].map((kind) => ({
      what: kind,
      names: 'child.vmdk',
      put: async () => {
        const base = ['-b', vm.path('system.vmdk'), '-F', 'vmdk'];
        await qemuImg(
          ...['create', '-q', '-f', 'vmdk', '-o', `subformat=${kind}`],
          ...base,
          vm.path('child.vmdk'),
        );
      },
    })),
    {
      what: 'one that was cut off',
      names: 'system-000001.vmdk',
      put: () => vm.put({ 'system-000001.vmdk': '' }),
    },
    {
      what: 'one that has lost its descriptor',
      names: 'system-000001-delta.vmdk',
      put: () => vm.put({ 'system-000001-delta.vmdk': 'COWD' }),
    },
    {
      what: "libvirt's, in qcow2, called after the snapshot",
      names: 'system.before-update',
      put: async () => {
        await qemuImg(
          ...['create', '-q', '-f', 'qcow2', '-b', vm.path('system.vmdk'), '-F', 'vmdk'],
          vm.path('system.before-update'),
        );
      },
    },
  ];

  it.each(deltas)('is seen by its delta: $what', async ({ names, put }) => {
    expect((await vm.backedUp()).equals(bytes)).toBe(true);
    await put();
    const said = await vm.refusal();
    expect(said).toContain('the VM has an open snapshot');
    expect(said).toContain(`"${names}"`);
    expect(said).toContain('Consolidate');
    expect(said).toContain(`move it out of ${vm.files.home}`);
    expect((await vm.hypervisor.describeVm(VM)).power).toBe('off');
    // What the message says to do with a left-over.
    await mkdir(join(vm.directory, 'elsewhere'));
    for (const name of await vm.list())
      if (name !== 'system.vmdk' && !/flat|json|parts|snapshots|open/.test(name))
        await rename(vm.path(name), join(vm.directory, 'elsewhere', name));
    expect((await vm.backedUp()).equals(bytes)).toBe(true);
  });

  it('names all files of a chain', async () => {
    await vm.put({
      'system-000001.vmdk': delta('seSparse'),
      'system-000002.vmdk': delta(
        'seSparse',
        { parentCid: '0badcafe', hint: 'system-000001.vmdk' },
        'system-000002',
      ),
    });
    const said = await vm.refusal();
    expect(said).toContain('"system-000001.vmdk", "system-000002.vmdk"');
    expect(said).toContain('move them out');
  });

  it('of a sparse disk, and of a raw and a qcow2 one, is seen, too', async () => {
    await vm.put({ 'system.raw': bytes });
    await rm(vm.path('system.vmdk'));
    await qemuImg('convert', '-f', 'raw', '-O', 'vmdk', vm.path('system.raw'), vm.path('system.vmdk'));
    await qemuImg(
      ...['create', '-q', '-f', 'vmdk', '-b', vm.path('system.vmdk'), '-F', 'vmdk'],
      vm.path('a.vmdk'),
    );
    expect(await vm.refusal()).toContain('"a.vmdk" builds on it');
    await vm.describe('system.raw', 'raw');
    expect((await vm.backedUp()).equals(bytes)).toBe(true);
    await qemuImg(
      ...['create', '-q', '-f', 'qcow2', '-b', vm.path('system.raw'), '-F', 'raw'],
      vm.path('a.qcow2'),
    );
    expect(await vm.refusal()).toContain('"a.qcow2" builds on it');
    await qemuImg('convert', '-f', 'raw', '-O', 'qcow2', vm.path('system.raw'), vm.path('b.qcow2'));
    await vm.describe('b.qcow2', 'qcow2');
    expect((await vm.backedUp()).equals(bytes)).toBe(true);
    const inJson = `json:${JSON.stringify({ driver: 'qcow2', file: { driver: 'file', filename: vm.path('b.qcow2') } })}`;
    for (const backing of ['b.qcow2', inJson, 'file:b.qcow2']) {
      await qemuImg('rebase', '-u', '-f', 'qcow2', '-b', backing, '-F', 'qcow2', vm.path('a.qcow2'));
      expect(await vm.refusal()).toContain('"a.qcow2" builds on it');
    }
  });

  it.each([
    ['db.vmx', '.encoding = "UTF-8"\r\nscsi0:0.fileName = "system-000001.vmdk"\r\n', 'the disk in use'],
    ['db.vmx', 'scsi0:0.fileName = "/vmfs/volumes/other/db/system-000007.vmdk"\n', 'the disk in use'],
    ['DB.VMX', 'sata0:1.FILENAME = "System-000001.vmdk"\n', 'the disk in use'],
    [
      'db.vmsd',
      'snapshot.numSnapshots = "1"\nsnapshot0.disk0.fileName = "system.vmdk"\nsnapshot0.disk0.node = "scsi0:0"\n',
      'lists a snapshot',
    ],
  ])('is seen by %s: %j', async (name, text, says) => {
    await vm.put({ [name]: text });
    const said = await vm.refusal();
    expect(said).toContain('the VM has an open snapshot');
    expect(said).toContain(`"${name}"`);
    expect(said).toContain(says);
    expect(said).toContain('move it out of');
  });

  const harmless: Record<string, Record<string, string>> = {
    'descriptions of a VM without snapshots': {
      'db.vmx': 'scsi0:0.fileName = "system.vmdk"\nscsi0:1.fileName = "data-000001.vmdk"\n',
      'db.vmsd':
        '.encoding = "UTF-8"\nsnapshot.lastUID = "1"\nsnapshot.numSnapshots = "0"\nsnapshot0.disk0.fileName = "system.vmdk"\n',
    },
    'an empty list of snapshots': { 'db.vmsd': '' },
    "another disk's delta": {
      'data.vmdk': descriptor(['RW 8 VMFS "data-flat.vmdk"'], { cid: '22223333' }),
      'data-000001.vmdk': delta('vmfsSparse', { parentCid: '22223333', hint: 'data.vmdk' }, 'data-000001'),
    },
    'a whole disk that is called like a delta': {
      'system-000001.vmdk': descriptor(['RW 8 VMFS "system-000001-flat.vmdk"'], { cid: '22223333' }),
    },
    'a copy of the disk': {
      'copy.vmdk': descriptor([`RW ${SECTORS} VMFS "copy-flat.vmdk"`], { cid: CID }),
    },
    'what a guest writes into a disk that lies beside': {
      'data.vmdk': descriptor(['RW 8 VMFS "data-flat.vmdk"'], { cid: '22223333' }),
      'data-flat.vmdk': delta('vmfsSparse'),
      'data.raw': delta('vmfsSparse'),
      'console.log': delta('vmfsSparse'),
    },
    'the list of changed blocks, and others of VMware': {
      'system-ctk.vmdk': '\x7f\x04tcctb\x01',
      'db.nvram': 'MRVN',
      'db.vmxf': '<Foundry/>',
    },
  };
  it.each(Object.keys(harmless))('is not seen in %s', async (what) => {
    await vm.put(harmless[what] as Record<string, string>);
    expect((await vm.backedUp()).equals(bytes)).toBe(true);
  });

  it('is not seen in the id of new disks, which all have the same', async () => {
    await vm.put({
      'system.vmdk': descriptor([`RW ${SECTORS} VMFS "system-flat.vmdk"`], { cid: 'fffffffe' }),
      'data-000001.vmdk': delta('vmfsSparse', { parentCid: 'fffffffe', hint: 'data.vmdk' }, 'data-000001'),
    });
    expect((await vm.backedUp()).equals(bytes)).toBe(true);
  });

  it('is seen beside a copy of the disk that the delta builds on', async () => {
    await vm.put({
      'merged.vmdk': descriptor([`RW ${SECTORS} VMFS "system-flat.vmdk"`], { cid: CID }),
      'system-000001.vmdk': delta('seSparse'),
    });
    await vm.describe('merged.vmdk');
    expect(await vm.refusal()).toContain('builds on a disk with this one\'s CID, "system.vmdk"');
  });

  const named: { what: string; file: string; says: string; put: () => Promise<void> }[] = [
    ...['seSparse', 'vmfsSparse'].map((kind) => ({
      what: kind,
      file: 'system-000001.vmdk',
      says: `only the delta of an open snapshot (${kind}), and builds on another image (a parent, "system.vmdk")`,
      put: () => vm.put({ 'system-000001.vmdk': delta(kind), 'system-000001-delta.vmdk': 'COWD' }),
    })),
    {
      what: 'the bytes of a vmfsSparse one',
      file: 'system-000001-delta.vmdk',
      says: 'it is the data of an open snapshot',
      put: () =>
        vm.put({ 'system-000001-delta.vmdk': Buffer.concat([Buffer.from('COWD'), Buffer.alloc(4096)]) }),
    },
    {
      what: 'the bytes of a seSparse one',
      file: 'system-000001-sesparse.vmdk',
      says: 'it is the data of an open snapshot',
      put: () => {
        const start = Buffer.alloc(4096);
        start.writeBigUInt64LE(0xcafebaben);
        return vm.put({ 'system-000001-sesparse.vmdk': start });
      },
    },
    ...['monolithicSparse', 'twoGbMaxExtentSparse'].map((kind) => ({
      what: kind,
      file: 'child.vmdk',
      says: 'only the delta of an open snapshot',
      put: async () => {
        const base = ['-b', vm.path('system.vmdk'), '-F', 'vmdk'];
        await qemuImg(
          ...['create', '-q', '-f', 'vmdk', '-o', `subformat=${kind}`],
          ...base,
          vm.path('child.vmdk'),
        );
      },
    })),
  ];
  it.each(named)('whose delta vm.json names is told so: $what', async ({ file, says, put }) => {
    await put();
    await vm.describe(file);
    const said = await vm.refusal();
    expect(said).toContain(says);
    expect(said).toContain('Consolidate the VM');
  });

  it('that is opened beside a running VM is told when all of it is read', async () => {
    await vm.hypervisor.powerOn(VM);
    await vm.hypervisor.snapshotVm(VM, 'live');
    expect(await vm.hypervisor.changedAreas(VM, 'live', 'system')).toEqual([{ offset: 0, length: SIZE }]);
    await vm.put({ 'system-000001.vmdk': delta('seSparse') });
    await expect(vm.hypervisor.changedAreas(VM, 'live', 'system')).rejects.toThrow('open snapshot');
  });
});
