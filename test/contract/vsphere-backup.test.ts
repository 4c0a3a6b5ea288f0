import { readFile } from 'node:fs/promises';
import { simulatorIsBuilt } from '../../sandbox/vcenter/simulator';
import { contents, expectCovered, onDisk } from './hypervisor-contract';
import { disksOf } from '../../hypervisor/vsphere/devices';
import { devicesOf, leftovers, makeVm, startVsphereSite, type VsphereSite } from './vsphere-site';

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
    expect(
      disksOf(await devicesOf(client, vm)).map(({ backing }) => backing.changeId === undefined),
    ).toBeDefined();
    expect(await readFile('/proc/self/mounts', 'utf8')).not.toContain(vcenter.deviceDirectory);
  });
});
