import { readFile } from 'node:fs/promises';
import { VmNotFoundError } from '../../hypervisor/port';
import { releaseOne } from '../../hypervisor/vsphere/backup/leftovers';
import { snapshotName, snapshotsOf, sortOut } from '../../hypervisor/vsphere/backup/snapshots';
import { vsphereSite } from '../../hypervisor/vsphere/site';
import { describeWithVcenter } from '../support/describe-with-vcenter';
import { contents, expectCovered, onDisk } from './hypervisor-contract';
import { startVsphereSite, type VsphereSite } from './vsphere-site';
import { addDisk, leftovers, makeVm } from './vsphere-vms';

const MiB = 1024 * 1024;
/** Multiples of 512, not of 1024. */
const SIZES = [4 * MiB + 3 * 512, 2 * MiB + 512];

describeWithVcenter('backups from vSphere', () => {
  let site: VsphereSite;
  beforeAll(async () => {
    site = await startVsphereSite();
  });
  afterAll(() => site.remove());

  it('reads a running VM as it was at an instant, tells what changed since the last one, and leaves nothing behind', async () => {
    const { hypervisor, client, vcenter } = site;
    const vm = await makeVm(site, { name: 'web', disks: SIZES });
    await client.run('PowerOnVM_Task', vm, {});
    const keys = (await hypervisor.describeVm('web')).disks.map(({ key }) => key);
    const [first = '', second = ''] = keys;
    const expected = SIZES.map((size) => Buffer.alloc(size));
    const write = async (unit: number, offset: number, length: number, pattern: number) => {
      await vcenter.writeAsGuest('web', unit, offset, length, pattern);
      expected[unit]?.fill(pattern, offset, offset + length);
    };
    await write(0, 64 * 1024, 4096, 0x11);
    await write(1, SIZES[1]! - 512, 512, 0x12);

    const one = await hypervisor.snapshotVm('web', 'backup/1');
    expect(one).toMatchObject({ consistency: 'crash', notes: [] });
    expect(one.configuration).toMatchObject({
      cpus: 1,
      memoryMiB: 64,
      firmware: 'bios',
      guestOs: 'debian12_64Guest',
      disks: [
        { key: first, sizeBytes: SIZES[0], slot: 0, boot: true },
        { key: second, sizeBytes: SIZES[1], slot: 1, boot: false },
      ],
    });
    expect(Object.keys(one.changeMarkers)).toEqual(keys);
    const atOne = expected.map((disk) => Buffer.from(disk));
    await write(0, 0, 512, 0x13);
    for (const [unit, key] of keys.entries())
      await onDisk(
        await site.afresh().openSnapshotDisk('web', 'backup/1', key),
        async (file) => expect((await contents(file)).equals(atOne[unit]!)).toBe(true),
        'r',
      );
    const whole = await hypervisor.changedAreas('web', 'backup/1', first);
    expectCovered(whole ?? [], Buffer.alloc(SIZES[0]!), atOne[0]!);
    await hypervisor.releaseSnapshot('web', 'backup/1');
    expect(await leftovers(site, vm)).toEqual([]);

    await write(0, 2 * MiB, 512, 0x14);
    const two = await site.afresh().snapshotVm('web', 'backup/2');
    const since = await hypervisor.changedAreas('web', 'backup/2', first, one.changeMarkers[first]);
    expect(since).toBeDefined();
    expectCovered(since ?? [], atOne[0]!, expected[0]!);
    // Two writes of 512 bytes in grains of 64 KiB.
    expect((since ?? []).reduce((sum, { length }) => sum + length, 0)).toBeLessThanOrEqual(2 * 64 * 1024);
    expect(await hypervisor.changedAreas('web', 'backup/2', second, one.changeMarkers[second])).toEqual([]);
    expect(two.changeMarkers[first]).not.toBe(one.changeMarkers[first]);
    for (let i = 0; i < 2; i++) await hypervisor.releaseSnapshot('web', 'backup/2');
    expect(await leftovers(site, vm)).toEqual([]);
    expect(await readFile('/proc/self/mounts', 'utf8')).not.toContain(vcenter.deviceDirectory);
  });

  it('says that a guest was not quiesced, and takes its disks as they are', async () => {
    const { hypervisor, client } = site;
    const option = (key: string, value: string) => [{ key, value }];
    const vm = await makeVm(site, { name: 'quiet', disks: [MiB] });
    await client.run('ReconfigVM_Task', vm, { spec: { extraConfig: option('simulator.tools', 'TRUE') } });
    const take = async (id: string) => {
      const taken = await hypervisor.snapshotVm('quiet', id, { consistency: 'quiesced' });
      expect(await hypervisor.snapshotVm('quiet', id, { consistency: 'quiesced' })).toEqual(taken);
      await hypervisor.releaseSnapshot('quiet', id);
      return taken;
    };
    expect((await take('off')).consistency).toBe('powered-off');
    await client.run('PowerOnVM_Task', vm, {});
    expect(await take('with tools')).toMatchObject({ consistency: 'quiesced', notes: [] });
    expect((await hypervisor.snapshotVm('quiet', 'not asked for')).consistency).toBe('crash');
    await hypervisor.releaseSnapshot('quiet', 'not asked for');

    await client.run('ReconfigVM_Task', vm, {
      spec: { extraConfig: option('simulator.quiesceFails', 'TRUE') },
    });
    const failed = await take('a guest that does not freeze');
    expect(failed.consistency).toBe('crash');
    expect(failed.notes).toEqual([expect.stringContaining('QuiesceFault')]);
    await client.run('ReconfigVM_Task', vm, {
      spec: {
        extraConfig: [...option('simulator.tools', 'FALSE'), ...option('simulator.quiesceFails', 'FALSE')],
      },
    });
    const without = await take('without tools');
    expect(without.consistency).toBe('crash');
    expect(without.notes).toEqual([expect.stringContaining('VMware Tools')]);
    expect(await leftovers(site, vm)).toEqual([]);
  });

  it('leaves out the disks that the plan leaves out, and says so', async () => {
    const { hypervisor } = site;
    await makeVm(site, { name: 'three', disks: [MiB, MiB, MiB] });
    const [boot = '', second = '', third = ''] = (await hypervisor.describeVm('three')).disks.map(
      ({ key }) => key,
    );
    const taken = await hypervisor.snapshotVm('three', 'b', { excludeDisks: [second] });
    expect(taken.configuration.disks.map(({ key }) => key)).toEqual([boot, third]);
    expect(taken.notes).toContainEqual(expect.stringContaining(second));
    expect(Object.keys(taken.changeMarkers)).not.toContain(second);
    await hypervisor.releaseSnapshot('three', 'b');
    await expect(hypervisor.snapshotVm('three', 'c', { excludeDisks: [boot] })).rejects.toThrow(
      'none to boot from',
    );
  });

  it('believes no tracking that was switched on while a snapshot stood', async () => {
    const { hypervisor, client, vcenter } = site;
    const vm = await makeVm(site, { name: 'late', disks: [MiB] });
    await client.run('PowerOnVM_Task', vm, {});
    const standing = await client.run('CreateSnapshotEx_Task', vm, {
      name: 'before the upgrade',
      description: '',
      memory: false,
    });
    const [key = ''] = (await hypervisor.describeVm('late')).disks.map((disk) => disk.key);
    // Not switched on by us while that snapshot stands.
    const one = await hypervisor.snapshotVm('late', '1');
    expect(one.changeMarkers).toEqual({});
    expect(one.notes).toEqual([expect.stringContaining('not tracked yet')]);
    expect(await hypervisor.changedAreas('late', '1', key)).toBeUndefined();
    await hypervisor.releaseSnapshot('late', '1');
    expect((await client.get(vm, 'config.changeTrackingEnabled'))['config.changeTrackingEnabled']).not.toBe(
      true,
    );

    // By somebody else, it is.
    await client.run('ReconfigVM_Task', vm, { spec: { changeTrackingEnabled: true } });
    const two = await hypervisor.snapshotVm('late', '2');
    expect(two.changeMarkers).toEqual({});
    expect(two.notes).toEqual([expect.stringContaining('from before they were tracked')]);
    expect(await hypervisor.changedAreas('late', '2', key)).toBeUndefined();
    await hypervisor.releaseSnapshot('late', '2');

    await client.run('RemoveSnapshot_Task', standing, { removeChildren: false });
    const three = await hypervisor.snapshotVm('late', '3');
    expect(three).toMatchObject({ notes: [] });
    await hypervisor.releaseSnapshot('late', '3');
    // A marker of another tracking, of another disk, or of nobody.
    await vcenter.writeAsGuest('late', 0, 0, 512, 1);
    await hypervisor.snapshotVm('late', '4');
    const marker = three.changeMarkers[key] ?? '';
    expect(await hypervisor.changedAreas('late', '4', key, marker)).toEqual([
      { offset: 0, length: 64 * 1024 },
    ]);
    const parsed = JSON.parse(marker) as { changeId: string; uuid: string; capacity: number };
    for (const void_ of [
      { ...parsed, changeId: parsed.changeId.replace(/^52 ../, '52 zz') },
      { ...parsed, changeId: parsed.changeId.replace(/[0-9]+$/, '99') },
      { ...parsed, capacity: parsed.capacity - 512 },
      { ...parsed, uuid: parsed.uuid.replace(/^......../, '00000000') },
      'backup/3',
    ])
      expect(
        await hypervisor.changedAreas(
          'late',
          '4',
          key,
          typeof void_ === 'string' ? void_ : JSON.stringify(void_),
        ),
      ).toBeUndefined();
    await hypervisor.releaseSnapshot('late', '4');
    expect(await leftovers(site, vm)).toEqual([]);
  });

  it('collects an answer of many pages', async () => {
    const { hypervisor, client, vcenter } = site;
    const size = 64 * MiB;
    const vm = await makeVm(site, { name: 'busy', disks: [size] });
    await client.run('PowerOnVM_Task', vm, {});
    const [key = ''] = (await hypervisor.describeVm('busy')).disks.map((disk) => disk.key);
    const { changeMarkers } = await hypervisor.snapshotVm('busy', '1');
    await hypervisor.releaseSnapshot('busy', '1');
    const before = Buffer.alloc(size);
    const after = Buffer.alloc(size);
    // More than a page of the simulator's has (200), and the disk's last sector.
    const offsets = [...Array.from({ length: 210 }, (_, i) => i * 256 * 1024), size - 512];
    for (const offset of offsets) {
      await vcenter.writeAsGuest('busy', 0, offset, 512, 0x77);
      after.fill(0x77, offset, offset + 512);
    }
    await hypervisor.snapshotVm('busy', '2');
    const areas = await hypervisor.changedAreas('busy', '2', key, changeMarkers[key]);
    expect(areas).toHaveLength(offsets.length);
    expectCovered(areas ?? [], before, after);
    await hypervisor.releaseSnapshot('busy', '2');
  });

  it('refuses what cannot be backed up before it takes a snapshot', async () => {
    const { hypervisor, client } = site;
    const vm = await makeVm(site, { name: 'refused', disks: [MiB] });
    await addDisk(site, vm, {
      unit: 1,
      sizeBytes: MiB,
      file: '[LocalDS_0] refused/other.vmdk',
      backing: { diskMode: 'independent_persistent' },
    });
    await expect(hypervisor.snapshotVm('refused', '1')).rejects.toThrow(/is independent.*excludeDisks/);
    expect(await leftovers(site, vm)).toEqual([]);
    expect((await client.get(vm, 'config.changeTrackingEnabled'))['config.changeTrackingEnabled']).not.toBe(
      true,
    );
    await expect(hypervisor.snapshotVm('backup-proxy', '1')).rejects.toThrow('the backup proxy itself');
  });

  it('finds VMs by name, path and instance UUID, and says which are meant where a name is not of one', async () => {
    const { hypervisor, client } = site;
    const [datacenter] = await client.list('Datacenter', ['vmFolder', 'name']);
    const folder = await client.call('CreateFolder', datacenter!.vmFolder!, { name: 'Prod' });
    const odd = 'SQL PROD 01 a%2fb ' + 'x'.repeat(60);
    const first = await makeVm(site, { name: odd, disks: [MiB] });
    const { config } = await client.get(first, 'config');
    const byName = await hypervisor.describeVm(odd);
    expect(byName.displayName).toBe(odd.replace('%2f', '/'));
    const path = `/${datacenter!.name}/vm/${odd}`;
    for (const reference of [path, config!.instanceUuid!])
      expect(await hypervisor.describeVm(reference)).toEqual(byName);
    await makeVm({ ...site }, { name: odd, disks: [MiB], folder });
    const second = path.replace('/vm/', '/vm/Prod/');
    await expect(hypervisor.describeVm(odd)).rejects.toThrow(`${second}, ${path}`);
    expect(await hypervisor.listVms()).toEqual(expect.arrayContaining([path, second, 'backup-proxy']));
    expect((await hypervisor.describeVm(second)).disks[0]?.key).not.toBe(byName.disks[0]?.key);
    for (const gone of ['nobody', `/${datacenter!.name}/vm/nobody`, '5032a1b2-0000-1111-2222-333344445555'])
      await expect(hypervisor.describeVm(gone)).rejects.toThrow(VmNotFoundError);
    await hypervisor.releaseSnapshot('nobody', '1');
  });

  it('removes its own snapshots that nobody uses, and no others', async () => {
    const { hypervisor, client } = site;
    const vm = await makeVm(site, { name: 'stale', disks: [MiB] });
    await hypervisor.snapshotVm('stale', 'in use');
    // Of a proxy whose state is lost, and of a person.
    const proxy = await site.vcenter.control.find('backup-proxy');
    const take = (name: string, description: string) =>
      client.run('CreateSnapshotEx_Task', vm, { name, description, memory: false });
    const description = (at: number) =>
      JSON.stringify({ lifeboat: 1, id: 'lost', takenAt: new Date(at).toISOString(), proxy, off: true });
    await take('before the upgrade', '');
    await take(snapshotName('lost'), description(Date.now()));
    const names = async (): Promise<string[]> => {
      const { snapshot } = await client.get(vm, 'snapshot');
      const { own, others } = sortOut(snapshot?.rootSnapshotList);
      return [...own.map((one) => one.description.id), ...others.map(({ name }) => name)].sort();
    };
    expect(await hypervisor.clearLeftovers()).toEqual([]);
    expect(await names()).toEqual(['before the upgrade', 'in use', 'lost']);
    await hypervisor.snapshotVm('stale', 'next');
    expect(await names()).toEqual(['before the upgrade', 'in use', 'next']);
    // Nobody remembers it, and it is of the day before yesterday.
    await take(snapshotName('lost'), description(Date.now() - 49 * 3_600_000));
    expect(await hypervisor.clearLeftovers()).toEqual([expect.stringContaining('stale: 1 snapshot(s)')]);
    for (const id of ['in use', 'next']) await hypervisor.releaseSnapshot('stale', id);
    expect(await names()).toEqual(['before the upgrade']);
  });

  it('takes it for done that a snapshot to be released has gone since it was listed', async () => {
    const { client, hypervisor, settings, stateDirectory } = site;
    const vm = await makeVm(site, { name: 'gone', disks: [MiB] });
    await hypervisor.snapshotVm('gone', '1');
    const { own } = await snapshotsOf(client, vm);
    // By the task of a worker that has died since.
    await client.run('RemoveSnapshot_Task', own[0]!.ref, { removeChildren: false, consolidate: true });
    const other = vsphereSite(settings, stateDirectory);
    try {
      await releaseOne(other, own[0]!);
    } finally {
      await other.client.close();
    }
    expect(await leftovers(site, vm)).toEqual([]);
  });
});
