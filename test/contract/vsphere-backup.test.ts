import { readFile } from 'node:fs/promises';
import { simulatorIsBuilt } from '../../sandbox/vcenter/simulator';
import { contents, expectCovered, onDisk } from './hypervisor-contract';
import { leftovers, makeVm, startVsphereSite, type VsphereSite } from './vsphere-site';

const MiB = 1024 * 1024;
/** Multiples of 512, not of 1024. */
const SIZES = [4 * MiB + 3 * 512, 2 * MiB + 512];

/** Where Go cannot be had, there is no simulated vCenter. */
const onVcenter = simulatorIsBuilt() ? describe : describe.skip;

onVcenter('backups from vSphere', () => {
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
});
