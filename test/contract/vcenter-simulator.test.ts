import { existsSync, readdirSync } from 'node:fs';
import { mkdtemp, open, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { PROXY_NAME, startSimulatedVcenter, type SimulatedVcenter } from '../../sandbox/vcenter/simulator';
import { describeWithPyvmomi, PyvmomiVcenter } from './pyvmomi-vcenter';

const MIB = 1024 * 1024;
/** No whole number of KiB. */
const ODD = 16 * MIB + 3 * 512;
const SYSTEM = 24 * MIB;

interface DiskTold {
  key: number;
  unit: number;
  bytes: number;
  kib: number;
  uuid: string;
  mode: string;
  changeId: string | null;
  files: string[];
}

interface VmTold {
  ref: string;
  instanceUuid: string;
  power: string;
  cpus: number;
  annotation: string | null;
  tracking: boolean;
  options: Record<string, string>;
  consolidationNeeded: boolean;
  tools: string;
  folder: string;
  macs: string[];
  disks: DiskTold[];
  snapshots: [string, string, boolean][];
}

interface Areas {
  start: number;
  length: number;
  areas: [number, number][];
}

describeWithPyvmomi(
  'the simulated vCenter, as pyVmomi sees it (skipped where it is not built, or without pyVmomi)',
  () => {
    let directory: string;
    let vcenter: SimulatedVcenter;
    let client: PyvmomiVcenter;
    /** What each disk of `web` has to hold. */
    const expected = new Map([
      [0, Buffer.alloc(SYSTEM)],
      [1, Buffer.alloc(ODD)],
    ]);
    const held = new Map<string, Map<number, Buffer>>();

    beforeAll(async () => {
      directory = await mkdtemp(join(tmpdir(), 'lifeboat-vcenter-'));
      vcenter = await startSimulatedVcenter({ directory });
      client = PyvmomiVcenter.connect(vcenter);
    }, 60_000);
    afterAll(async () => {
      await client?.close();
      await vcenter?.stop();
      await rm(directory, { recursive: true, force: true });
    }, 60_000);

    const told = (vm: string): Promise<VmTold> => client.ask<VmTold>('describe', { vm });
    const inStore = (file: string): string => file.replace(/^\[.*\] /, '');
    const devicePath = (uuid: string): string =>
      join(vcenter.deviceDirectory, `wwn-0x${uuid.replaceAll('-', '')}`);
    const hotAdd = (file: string, mode = 'independent_nonpersistent', unit = 0): Promise<unknown> =>
      client.ask('add_disk', { vm: PROXY_NAME, file: inStore(file), unit, mode });
    const hotRemove = (unit = 0): Promise<unknown> => client.ask('remove_disk', { vm: PROXY_NAME, unit });
    const write = async (unit: number, offset: number, length: number, pattern: number): Promise<void> => {
      await vcenter.writeAsGuest('web', unit, offset, length, pattern);
      expected.get(unit)?.fill(pattern, offset, offset + length);
    };
    const takeSnapshot = async (name: string): Promise<DiskTold[]> => {
      await client.ask('take_snapshot', { vm: 'web', name });
      held.set(name, new Map([...expected].map(([unit, bytes]) => [unit, Buffer.from(bytes)])));
      return client.ask<DiskTold[]>('snapshot_disks', { vm: 'web', snapshot: name });
    };
    /** Whether the snapshot's disks are, at the proxy, what they were. */
    const check = async (name: string): Promise<void> => {
      for (const disk of await client.ask<DiskTold[]>('snapshot_disks', { vm: 'web', snapshot: name })) {
        await hotAdd(disk.files[0] as string);
        const found = await readFile(devicePath(disk.uuid));
        expect(found.equals(held.get(name)?.get(disk.unit) as Buffer)).toBe(true);
        await hotRemove();
        expect(existsSync(devicePath(disk.uuid))).toBe(false);
      }
    };
    const changed = async (
      snapshot: string,
      disk: DiskTold,
      changeId: string,
    ): Promise<{ areas: [number, number][]; pages: number }> => {
      const areas: [number, number][] = [];
      let pages = 0;
      for (let offset = 0; offset < disk.bytes; pages++) {
        const page = await client.ask<Areas>('areas', {
          ...{ vm: 'web', snapshot, disk: disk.key, change_id: changeId, start: offset },
        });
        expect(page.start).toBe(offset);
        expect(page.length).toBeGreaterThan(0);
        areas.push(...page.areas);
        offset = page.start + page.length;
      }
      return { areas, pages };
    };
    /** Whether two states of a disk are the same outside of the areas. */
    const covers = (areas: [number, number][], before: Buffer, after: Buffer): boolean => {
      const [a, b] = [Buffer.from(before), Buffer.from(after)];
      for (const [start, length] of areas) {
        a.fill(0, start, start + length);
        b.fill(0, start, start + length);
      }
      return a.equals(b);
    };
    const bytesIn = (areas: [number, number][]): number => areas.reduce((sum, [, length]) => sum + length, 0);

    it('lets in who knows the password, and finds the VM that stands for this host', async () => {
      expect(await client.faultOf('wrong_password')).toBe('InvalidLogin');
      expect(await client.ask('proxy', { uuid: vcenter.proxyUuid })).toBe(PROXY_NAME);
      expect((await told(PROXY_NAME)).power).toBe('poweredOn');
    });

    it('creates VMs as they are asked for, and refuses what vCenter refuses', async () => {
      const instanceUuid = '5034aa11-0000-4000-8000-00000000beef';
      await client.ask('create', {
        ...{
          name: 'web',
          changeTrackingEnabled: true,
          instanceUuid,
          macs: ['00:50:56:01:02:03', '00:50:56:01:02:04'],
        },
        options: { 'lifeboat.mark': 'run-1' },
      });
      expect(await client.faultOf('create', { name: 'web' })).toBe('DuplicateName');
      // "VirtualCenter detects an identifier conflict" and "changes it" (VirtualMachineConfigInfo.instanceUuid, API reference).
      await client.ask('create', { name: 'other', instanceUuid });
      expect((await told('other')).instanceUuid).not.toBe(instanceUuid);
      await client.ask('destroy', { vm: 'other' });
      await client.ask('folder', { name: 'others' });
      // A per cent has to be escaped by who calls, "unless it is used to start an escape sequence" (VirtualMachineConfigSpec.name).
      await client.ask('create', { name: 'a/b%252f c\\d', folder: 'others' });
      expect(await client.faultOf('create', { name: 'a%2fb%252f c%5cd', folder: 'others' })).toBe(
        'DuplicateName',
      );
      expect(await client.ask('names')).toEqual(['a%2fb%252f c%5cd', PROXY_NAME, 'web']);
      const web = await told('web');
      expect(web).toMatchObject({ instanceUuid, power: 'poweredOff', cpus: 1, tracking: true });
      expect(web.macs).toEqual(['00:50:56:01:02:03', '00:50:56:01:02:04']);
      expect(web.options['lifeboat.mark']).toBe('run-1');
      expect(await client.ask('by_instance_uuid', { uuid: instanceUuid })).toBe('web');
      await client.ask('destroy', { vm: 'a%2fb%252f c%5cd' });
    });

    it('gives disks their exact size and bytes, and an identity of their own', async () => {
      await client.ask('add_disk', { vm: 'web', file: 'web/web.vmdk', unit: 0, size: SYSTEM });
      await client.ask('add_disk', { vm: 'web', file: 'web/data.vmdk', unit: 1, size: ODD });
      expect(await client.faultOf('add_disk', { vm: 'web', file: 'web/more.vmdk', unit: 1, size: MIB })).toBe(
        'InvalidDeviceSpec',
      );
      const { disks } = await told('web');
      expect(disks.map(({ unit, bytes, kib }) => [unit, bytes, kib])).toEqual([
        [0, SYSTEM, SYSTEM / 1024],
        [1, ODD, Math.floor(ODD / 1024)],
      ]);
      expect((await stat(join(vcenter.datastoreDirectory, 'web/data-flat.vmdk'))).size).toBe(ODD);
      expect(new Set(disks.map(({ uuid }) => uuid)).size).toBe(2);
      expect(disks[0]?.uuid).toMatch(/^6000c29/i);
      const free = await client.ask<number>('free_space');
      expect(free).toBeGreaterThan(0);
      expect(free).toBeLessThan(4 * 2 ** 40);
    });

    it('shows a disk of a powered-off VM at the proxy, to be written', async () => {
      for (const { unit, files, uuid, bytes } of (await told('web')).disks) {
        await hotAdd(files[0] as string, 'independent_persistent');
        const file = await open(devicePath(uuid), 'r+');
        const block = Buffer.alloc(700_000, 0x77 + unit);
        await file.write(block, 0, block.length, 70_000);
        await file.write(Buffer.alloc(5, 0xbb), 0, 5, bytes - 5);
        await file.sync();
        await file.close();
        block.copy(expected.get(unit) as Buffer, 70_000);
        expected.get(unit)?.fill(0xbb, bytes - 5);
        expect((await stat(devicePath(uuid))).size).toBe(bytes);
        expect(await client.faultOf('power_on', { vm: 'web' })).toBe('FileLocked');
        expect(await client.faultOf('destroy', { vm: 'web' })).toBe('FileLocked');
        await hotRemove();
      }
    });

    it('runs a VM on its disks, which nobody else may have then', async () => {
      await client.ask('power_on', { vm: 'web' });
      expect(await client.faultOf('power_on', { vm: 'web' })).toBe('InvalidPowerState');
      expect(await client.faultOf('change', { vm: 'web', numCPUs: 4 })).toBe('InvalidPowerState');
      expect(await client.faultOf('change', { vm: 'web', memoryMB: 128 })).toBe('InvalidPowerState');
      expect(await client.faultOf('destroy', { vm: 'web' })).toBe('InvalidPowerState');
      const active = inStore((await told('web')).disks[0]?.files[0] as string);
      for (const mode of ['independent_nonpersistent', 'independent_persistent'])
        expect(await client.faultOf('add_disk', { vm: PROXY_NAME, file: active, unit: 0, mode })).toBe(
          'FileLocked',
        );
      expect((await told(PROXY_NAME)).disks).toEqual([]);
      await write(0, 8 * MIB, 4096, 0x33);
    });

    it('freezes the disks of a snapshot while the VM goes on', async () => {
      const [system, data] = (await takeSnapshot('first')) as [DiskTold, DiskTold];
      expect(system.changeId).toMatch(/^52( [0-9a-f]{2}){7}-[0-9a-f]{2}( [0-9a-f]{2}){7}\/1$/);
      expect(data.files).toEqual(['[LocalDS_0] web/data.vmdk']);
      expect((await told('web')).disks.map(({ files }) => files.map(inStore))).toEqual([
        ['web/web-000001.vmdk', 'web/web.vmdk'],
        ['web/data-000001.vmdk', 'web/data.vmdk'],
      ]);
      await write(0, 65_536, 512 * 1024, 0x99);
      await write(1, 0, MIB, 0x99);
      await check('first');
      const whole = await changed('first', system, '*');
      expect(covers(whole.areas, Buffer.alloc(SYSTEM), held.get('first')?.get(0) as Buffer)).toBe(true);
      expect(bytesIn(whole.areas)).toBeLessThan(SYSTEM / 2);
    });

    it('refuses writes through a snapshot that is attached', async () => {
      const [disk] = await client.ask<DiskTold[]>('snapshot_disks', { vm: 'web', snapshot: 'first' });
      const { files, uuid } = disk as DiskTold;
      expect(
        await client.faultOf('add_disk', {
          ...{ vm: PROXY_NAME, file: inStore(files[0] as string), unit: 0, mode: 'independent_persistent' },
        }),
      ).toBe('FileLocked');
      await hotAdd(files[0] as string);
      await expect(
        open(devicePath(uuid), 'r+').then((file) =>
          file.write(Buffer.alloc(512)).finally(() => file.close()),
        ),
      ).rejects.toThrow();
      await hotRemove();
    });

    it('cannot merge what is attached, and consolidates later', async () => {
      const [disk] = await client.ask<DiskTold[]>('snapshot_disks', { vm: 'web', snapshot: 'first' });
      await hotAdd(disk?.files[0] as string);
      expect(await client.faultOf('remove_snapshot', { vm: 'web', snapshot: 'first' })).toBe('FileLocked');
      expect(await told('web')).toMatchObject({ consolidationNeeded: true, snapshots: [] });
      expect(await client.faultOf('consolidate', { vm: 'web' })).toBe('FileLocked');
      await hotRemove();
      await client.ask('consolidate', { vm: 'web' });
      const web = await told('web');
      expect(web.consolidationNeeded).toBe(false);
      expect(web.disks.map(({ files }) => files.map(inStore))).toEqual([['web/web.vmdk'], ['web/data.vmdk']]);
      expect(
        readdirSync(join(vcenter.datastoreDirectory, 'web')).filter((name) => name.includes('00000')),
      ).toEqual([]);
    });

    const firstChangeIds: string[] = [];

    it('tells what has changed since an earlier snapshot, in pages', async () => {
      const uuid = /^(.*)\/1$/;
      await write(0, 20 * MIB, 100_352, 0x22);
      for (let at = 0; at < 205; at++) await write(1, at * 65_536 + 512, 512, 7);
      const disks = await takeSnapshot('second');
      await write(0, 0, 4096, 0x44);
      const pages: number[] = [];
      for (const disk of disks) {
        const since = (disk.changeId as string).replace('/2', '/1');
        expect(since).toMatch(uuid);
        firstChangeIds.push(since);
        const found = await changed('second', disk, since);
        pages.push(found.pages);
        const [before, after] = ['first', 'second'].map((name) => held.get(name)?.get(disk.unit) as Buffer);
        expect(covers(found.areas, before as Buffer, after as Buffer)).toBe(true);
        expect(before?.equals(after as Buffer)).toBe(false);
      }
      expect(pages[0]).toBe(1);
      const { key } = disks[0] as DiskTold;
      const ask = (more: Record<string, unknown>): Promise<string | undefined> =>
        client.faultOf('areas', { vm: 'web', snapshot: 'second', disk: key, change_id: '*', ...more });
      expect(await ask({ start: SYSTEM })).toBe('InvalidArgument');
      expect(await ask({ disk: 1 })).toBe('InvalidArgument');
      for (const foreign of [
        '52 00/1',
        firstChangeIds[1],
        (disks[0]?.changeId as string).replace('/2', '/3'),
        'x',
      ])
        expect(await ask({ change_id: foreign })).toBe('FileFault');
      await check('second');
    });

    it('keeps snapshots apart, and merges one from the middle', async () => {
      const [system] = (await takeSnapshot('third')) as [DiskTold];
      await write(1, 2 * MIB, 512, 0x55);
      await check('second');
      await check('third');
      await client.ask('remove_snapshot', { vm: 'web', snapshot: 'second' });
      await check('third');
      const found = await changed('third', system, firstChangeIds[0] as string);
      expect(
        covers(found.areas, held.get('first')?.get(0) as Buffer, held.get('third')?.get(0) as Buffer),
      ).toBe(true);
      await client.ask('remove_all_snapshots', { vm: 'web' });
      expect((await told('web')).disks.map(({ files }) => files.length)).toEqual([1, 1]);
    });

    it('goes on after vCenter was killed, and so do the machines', async () => {
      await takeSnapshot('fourth');
      const before = [await told('web'), await told(PROXY_NAME)];
      await vcenter.kill();
      await write(1, 5 * MIB, 4096, 0x66);
      await vcenter.start();
      await client.ask('login');
      expect([await told('web'), await told(PROXY_NAME)]).toEqual(before);
      await check('fourth');
      await client.ask('remove_snapshot', { vm: 'web', snapshot: 'fourth' });
      expect(await client.faultOf('create', { name: 'web' })).toBe('DuplicateName');
    });

    it('is whole again after vCenter was killed in the middle of a call', async () => {
      const cutOff = async (
        when: 'before' | 'after',
        method: string,
        ask: string,
        args: Record<string, unknown>,
      ): Promise<void> => {
        await vcenter.control.setRules([{ name: 'cut', method, times: 1, when, hold: true }]);
        const doomed = PyvmomiVcenter.connect(vcenter, 'ignore');
        const lost = doomed.ask(ask, args).catch(() => undefined);
        while (((await vcenter.control.struck()).cut ?? 0) === 0) await sleep(20);
        await vcenter.restart();
        await doomed.close();
        await lost;
        await client.ask('login');
      };
      const snapshot = { vm: 'web', name: 'cut' };
      await cutOff('before', 'CreateSnapshotEx_Task', 'take_snapshot', snapshot);
      expect((await told('web')).snapshots).toEqual([]);
      await cutOff('after', 'CreateSnapshotEx_Task', 'take_snapshot', snapshot);
      expect((await told('web')).snapshots).toEqual([['cut', 'by test', false]]);
      const [disk] = await client.ask<DiskTold[]>('snapshot_disks', { vm: 'web', snapshot: 'cut' });
      expect(disk?.changeId).not.toBeNull();
      await cutOff('after', 'ReconfigVM_Task', 'add_disk', {
        ...{
          vm: PROXY_NAME,
          file: inStore(disk?.files[0] as string),
          unit: 0,
          mode: 'independent_nonpersistent',
        },
      });
      expect((await told(PROXY_NAME)).disks.map(({ files }) => files)).toEqual([disk?.files]);
      expect(existsSync(devicePath(disk?.uuid as string))).toBe(true);
      await hotRemove();
      await cutOff('after', 'RemoveSnapshot_Task', 'remove_snapshot', { vm: 'web', snapshot: 'cut' });
      const web = await told('web');
      expect(web.snapshots).toEqual([]);
      expect(web.disks.map(({ files }) => files.map(inStore))).toEqual([['web/web.vmdk'], ['web/data.vmdk']]);
    });

    it('ends with the guest, and keeps what was tracked over a power cycle', async () => {
      await client.ask('power_off', { vm: 'web' });
      const disks = await takeSnapshot('fifth');
      await check('fifth');
      for (const disk of disks) {
        const found = await changed('fifth', disk, firstChangeIds[disk.unit] as string);
        const [before, after] = ['first', 'fifth'].map((name) => held.get(name)?.get(disk.unit) as Buffer);
        expect(covers(found.areas, before as Buffer, after as Buffer)).toBe(true);
      }
      await client.ask('remove_snapshot', { vm: 'web', snapshot: 'fifth' });
      for (const { unit, files, uuid } of (await told('web')).disks) {
        await hotAdd(files[0] as string, 'independent_persistent');
        expect((await readFile(devicePath(uuid))).equals(expected.get(unit) as Buffer)).toBe(true);
        await hotRemove();
      }
    });

    it('knows nothing of what was written any more when a machine has died', async () => {
      await client.ask('power_on', { vm: 'web' });
      const [disk] = (await takeSnapshot('alive')) as [DiskTold];
      await client.ask('remove_snapshot', { vm: 'web', snapshot: 'alive' });
      process.kill(
        Number(await readFile(join(vcenter.machineDirectory((await told('web')).ref), 'pid'), 'utf8')),
        'SIGKILL',
      );
      while ((await told('web')).power !== 'poweredOff') await sleep(50);
      await takeSnapshot('after');
      const question = { vm: 'web', snapshot: 'after', disk: disk.key, change_id: disk.changeId };
      expect(await client.faultOf('areas', question)).toBe('FileFault');
      await client.ask('remove_snapshot', { vm: 'web', snapshot: 'after' });
      await client.ask('destroy', { vm: 'web' });
      expect(existsSync(join(vcenter.datastoreDirectory, 'web'))).toBe(false);
    });
  },
);
