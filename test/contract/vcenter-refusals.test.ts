import { request } from 'node:https';
import { once } from 'node:events';
import { type IncomingMessage } from 'node:http';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { toolOutput } from '../../host/run-tool';
import { importVm } from '../../sandbox/vcenter/import';
import {
  govcProgram,
  PROXY_NAME,
  startSimulatedVcenter,
  type SimulatedVcenter,
} from '../../sandbox/vcenter/simulator';
import { describeWithPyvmomi, PyvmomiVcenter } from './pyvmomi-vcenter';

const MIB = 1024 * 1024;

describeWithPyvmomi(
  'what the simulated vCenter refuses and does wrong (skipped where it is not built, or without pyVmomi)',
  () => {
    let directory: string;
    let vcenter: SimulatedVcenter;
    let client: PyvmomiVcenter;
    let ca: Buffer;

    beforeAll(async () => {
      directory = await mkdtemp(join(tmpdir(), 'lifeboat-vcenter-'));
      vcenter = await startSimulatedVcenter({ directory, boots: false });
      client = PyvmomiVcenter.connect(vcenter);
      ca = await readFile(vcenter.ca);
    }, 60_000);
    afterAll(async () => {
      await client?.close();
      await vcenter?.stop();
      await rm(directory, { recursive: true, force: true });
    }, 60_000);

    const post = async (
      path: string,
      body: string,
      method = 'POST',
    ): Promise<{ status?: number; answer: string }> => {
      const asking = request(`${vcenter.url}${path}`, {
        method,
        ca,
        headers: { 'content-type': 'text/xml' },
      });
      asking.end(body);
      const [response] = (await once(asking, 'response')) as [IncomingMessage];
      return { status: response.statusCode ?? 0, answer: await text(response) };
    };

    it('takes in a VM with the bytes of its disks', async () => {
      const raw = join(directory, 'raw');
      const bytes = Buffer.alloc(3 * MIB + 512, 0x5a);
      await writeFile(raw, bytes);
      await importVm(vcenter, {
        name: 'shop',
        configuration: {
          ...{ cpus: 1, memoryMiB: 64, firmware: 'bios', guestOs: 'debian' },
          nics: [{ network: 'VM Network', mac: '00:50:56:9a:00:01' }],
          disks: [{ key: 'system', sizeBytes: bytes.length, slot: 0, boot: true }],
        },
        rawDisks: [{ key: 'system', path: raw, wwn: '6000c29000000001' }],
      });
      const shop = await client.ask<{ disks: { uuid: string; bytes: number }[]; macs: string[] }>(
        'describe',
        { vm: 'shop' },
      );
      expect(shop.macs).toEqual(['00:50:56:9a:00:01']);
      expect(shop.disks[0]).toMatchObject({ bytes: bytes.length });
      expect(shop.disks[0]?.uuid).toMatch(/^6000c290-0000-0001-/);
      expect((await readFile(join(vcenter.datastoreDirectory, 'shop/system-flat.vmdk'))).equals(bytes)).toBe(
        true,
      );
      await client.ask('power_on', { vm: 'shop' });
    });

    it('shuts a guest down only by Tools, and quiesces only with them', async () => {
      expect(await client.faultOf('shut_down', { vm: 'shop' })).toBe('ToolsUnavailable');
      const quiesced = async (name: string): Promise<unknown> => {
        await client.ask('take_snapshot', { vm: 'shop', name, quiesce: true });
        const { snapshots } = await client.ask<{ snapshots: [string, string, boolean][] }>('describe', {
          vm: 'shop',
        });
        return snapshots.find(([found]) => found === name)?.[2];
      };
      expect(await quiesced('without')).toBe(false);
      await vcenter.control.setOptions('shop', { 'simulator.tools': 'TRUE' });
      expect(await client.ask('describe', { vm: 'shop' })).toMatchObject({ tools: 'guestToolsRunning' });
      expect(await quiesced('with')).toBe(true);
      await vcenter.control.setOptions('shop', { 'simulator.quiesceFails': 'TRUE' });
      expect(await client.faultOf('take_snapshot', { vm: 'shop', name: 'failing', quiesce: true })).toBe(
        'ApplicationQuiesceFault',
      );
      await client.ask('take_snapshot', { vm: 'shop', name: 'old', old: true });
      await client.ask('shut_down', { vm: 'shop' });
    });

    it('gives change ids to snapshots with change tracking alone', async () => {
      const [disk] = await client.ask<{ key: number; changeId: string | null }[]>('snapshot_disks', {
        ...{ vm: 'shop', snapshot: 'with' },
      });
      expect(disk?.changeId ?? null).toBeNull();
      expect(
        await client.faultOf('areas', { vm: 'shop', snapshot: 'with', disk: disk?.key, change_id: '*' }),
      ).toBe('FileFault');
      await client.ask('remove_all_snapshots', { vm: 'shop' });
    });

    it('knows the slots of its controllers', async () => {
      for (const [controller, last] of [
        ['pvscsi', 63],
        ['lsisas', 15],
        ['ahci', 29],
        ['nvme', 14],
      ] as const) {
        await client.ask('create', { name: controller, controller });
        const add = (unit: number): Promise<string | undefined> =>
          client.faultOf('add_disk', { vm: controller, file: `${controller}/${unit}.vmdk`, unit, size: MIB });
        expect(await add(last)).toBeUndefined();
        expect(await add(last + 1)).toBe('InvalidDeviceSpec');
        expect(await add(7)).toBe(
          controller === 'ahci' || controller === 'nvme' ? undefined : 'InvalidDeviceSpec',
        );
        await client.ask('destroy', { vm: controller });
      }
    });

    it('does not start a VM whose given address is one of vCenter’s own', async () => {
      await client.ask('create', { name: 'address', macs: ['00:50:56:9a:00:02'] });
      expect(await client.faultOf('power_on', { vm: 'address' })).toBe('GenericVmConfigFault');
      await vcenter.control.setOptions('address', { 'ethernet0.checkMACAddress': 'FALSE' });
      await client.ask('power_on', { vm: 'address' });
      await client.ask('power_off', { vm: 'address' });
      await client.ask('destroy', { vm: 'address' });
    });

    it('shows disks by name only to a proxy that may see their UUIDs', async () => {
      await client.ask('power_off', { vm: 'shop' });
      for (const shown of [false, true]) {
        await vcenter.control.setOptions(PROXY_NAME, { 'disk.EnableUUID': shown ? 'TRUE' : 'FALSE' });
        await client.ask('add_disk', {
          vm: PROXY_NAME,
          file: 'shop/system.vmdk',
          unit: 0,
          mode: 'independent_persistent',
        });
        expect(await readdir(vcenter.deviceDirectory)).toHaveLength(shown ? 1 : 0);
        await client.ask('remove_disk', { vm: PROXY_NAME, unit: 0 });
      }
    });

    it('refuses what the account has no privilege for, and says so when it is asked', async () => {
      const snapshotting = 'VirtualMachine.State.CreateSnapshot';
      await vcenter.control.denyPrivileges([snapshotting, 'VirtualMachine.Config.AddNewDisk']);
      expect(await client.ask('privileges', { ids: [snapshotting, 'System.View'] })).toEqual({
        [snapshotting]: false,
        'System.View': true,
      });
      expect(await client.faultOf('take_snapshot', { vm: 'shop', name: 'no' })).toBe('NoPermission');
      expect(await client.faultOf('add_disk', { vm: 'shop', file: 'shop/no.vmdk', unit: 3, size: MIB })).toBe(
        'NoPermission',
      );
      await vcenter.control.denyPrivileges([]);
      expect(await client.faultOf('change', { vm: 'shop', annotation: 'yes' })).toBeUndefined();
    });

    it('fails and delays calls by rules', async () => {
      await vcenter.control.setRules([
        {
          name: 'busy',
          method: 'ReconfigVM_Task',
          skip: 1,
          times: 2,
          when: 'before',
          fault: 'TaskInProgress',
        },
        {
          name: 'slow',
          method: 'QueryChangedDiskAreas',
          times: 1,
          when: 'before',
          milliseconds: 300,
          fault: 'InvalidState',
        },
      ]);
      const found = [];
      for (let i = 0; i < 4; i++)
        found.push(await client.faultOf('change', { vm: 'shop', annotation: String(i) }));
      expect(found).toEqual([undefined, 'TaskInProgress', 'TaskInProgress', undefined]);
      expect(await vcenter.control.struck()).toEqual({ busy: 3, slow: 0 });
      await vcenter.control.setRules([]);
    });

    it('insists on the order of elements, and on a session for files', async () => {
      const envelope = (inside: string): string =>
        `<Envelope xmlns="http://schemas.xmlsoap.org/soap/envelope/"><Body>${inside}</Body></Envelope>`;
      const login = (fields: string): string =>
        envelope(
          `<Login xmlns="urn:vim25"><_this type="SessionManager">SessionManager</_this>${fields}</Login>`,
        );
      const [user, password] = [
        `<userName>${vcenter.user}</userName>`,
        `<password>${vcenter.password}</password>`,
      ];
      expect((await post('/sdk', login(password + user))).answer).toContain('InvalidRequest');
      expect((await post('/sdk', login(`${user + password}<what/>`))).answer).toContain(
        'has no element what',
      );
      expect((await post('/sdk', login(user + password))).status).toBe(200);
      expect((await post('/folder/shop/shop.vmx?dcPath=DC0&dsName=LocalDS_0', '', 'GET')).status).toBe(401);
    });

    it('comes up again as it was when all of it has been down', async () => {
      await client.ask('take_snapshot', { vm: 'shop', name: 'held' });
      await client.ask('add_disk', {
        ...{ vm: PROXY_NAME, file: 'shop/system.vmdk', unit: 0, mode: 'independent_nonpersistent' },
      });
      const before = [
        await client.ask('describe', { vm: 'shop' }),
        await client.ask('describe', { vm: PROXY_NAME }),
      ];
      const { url, thumbprint } = vcenter;
      await client.close();
      await vcenter.stop();
      expect(await readdir(vcenter.deviceDirectory)).toEqual([]);
      vcenter = await startSimulatedVcenter({ directory, boots: false });
      expect(vcenter).toMatchObject({ url, thumbprint });
      client = PyvmomiVcenter.connect(vcenter);
      expect([
        await client.ask('describe', { vm: 'shop' }),
        await client.ask('describe', { vm: PROXY_NAME }),
      ]).toEqual(before);
      expect(await readdir(vcenter.deviceDirectory)).toHaveLength(1);
      await client.ask('remove_disk', { vm: PROXY_NAME, unit: 0 });
      await client.ask('remove_snapshot', { vm: 'shop', snapshot: 'held' });
    });

    it('is understood by govc', async () => {
      const govc = (...args: string[]): Promise<string> =>
        toolOutput(govcProgram(), args, {
          environment: {
            ...{
              GOVC_URL: `${vcenter.url}/sdk`,
              GOVC_USERNAME: vcenter.user,
              GOVC_PASSWORD: vcenter.password,
            },
            ...{ GOVC_TLS_CA_CERTS: vcenter.ca, GOVC_PERSIST_SESSION: 'false', HOME: directory },
          },
        });
      await govc(
        'vm.create',
        '-on=false',
        '-m',
        '64',
        '-disk',
        '8MB',
        '-disk.controller',
        'pvscsi',
        '-net',
        'VM Network',
        'gov',
      );
      await govc('vm.power', '-on', 'gov');
      await govc('snapshot.create', '-vm', 'gov', '-m=false', 'one');
      expect(await govc('snapshot.tree', '-vm', 'gov')).toContain('one');
      const { devices } = JSON.parse(await govc('device.info', '-vm', 'gov', '-json', 'disk-*')) as {
        devices: { backing: { fileName: string; parent: { fileName: string } } }[];
      };
      expect(devices[0]?.backing.fileName).toBe('[LocalDS_0] gov/gov-000001.vmdk');
      expect(devices[0]?.backing.parent.fileName).toBe('[LocalDS_0] gov/gov.vmdk');
      await govc('snapshot.remove', '-vm', 'gov', 'one');
      await govc('vm.power', '-off', '-force', 'gov');
      await govc('vm.destroy', 'gov');
      expect(await client.ask('names')).toEqual([PROXY_NAME, 'shop']);
    });
  },
);

describeWithPyvmomi('the simulator as it comes', () => {
  it('starts with nothing of ours', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'lifeboat-vcenter-'));
    try {
      const vcenter = await startSimulatedVcenter({ directory, plain: true });
      const client = PyvmomiVcenter.connect(vcenter);
      try {
        expect(await client.ask('names')).toEqual([]);
        await client.ask('create', { name: 'twice' });
        expect(await client.faultOf('create', { name: 'twice' })).toBeUndefined();
      } finally {
        await client.close();
        await vcenter.stop();
      }
    } finally {
      await rm(directory, { recursive: true, force: true });
    }
  });
});
