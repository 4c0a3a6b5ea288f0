import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { VimClient, type VimSettings } from '../../hypervisor/vsphere/vim/client';
import { managed, sameObject } from '../../hypervisor/vsphere/vim/codec';
import { VimConnectionError } from '../../hypervisor/vsphere/vim/errors';
import { VimFault } from '../../hypervisor/vsphere/vim/faults';
import {
  type ManagedObject,
  type ServiceContent,
  type VirtualMachineConfigSpec,
} from '../../hypervisor/vsphere/vim/schema';
import { type SimulatedVcenter, startSimulatedVcenter } from '../../sandbox/vcenter/simulator';
import { describeWithVcenter } from '../support/describe-with-vcenter';

/** Our client against govmomi's simulator as it comes, which shares no code with it: VMware's protocol, types and property collector. */

describeWithVcenter('the vSphere client on a plain simulated vCenter', () => {
  let directory: string;
  let vcenter: SimulatedVcenter;
  let vim: VimClient;
  let content: ServiceContent;
  let vmFolder: ManagedObject;
  let pool: ManagedObject;
  let datastore: string;
  const clients: VimClient[] = [];

  function client(settings: Partial<VimSettings> = {}): VimClient {
    const made = new VimClient({
      url: vcenter.url,
      trust: { ca: vcenter.ca },
      credentials: () => Promise.resolve({ user: vcenter.user, password: vcenter.password }),
      ...settings,
    });
    clients.push(made);
    return made;
  }
  const createVm = (name: string, more: VirtualMachineConfigSpec = {}) =>
    vim.run('CreateVM_Task', vmFolder, {
      config: {
        name,
        guestId: 'debian12_64Guest',
        numCPUs: 1,
        memoryMB: 64,
        files: { vmPathName: `[${datastore}]` },
        deviceChange: [
          {
            operation: 'add',
            device: { $type: 'ParaVirtualSCSIController', key: -1, busNumber: 0, sharedBus: 'noSharing' },
          },
        ],
        ...more,
      },
      pool,
    });
  const find = async () => {
    content = await vim.content();
    const [datacenter] = await vim.list('Datacenter', ['vmFolder']);
    vmFolder = datacenter!.vmFolder!;
    pool = (await vim.list('ResourcePool', ['name']))[0]!.ref;
    datastore = (await vim.list('Datastore', ['summary.name']))[0]!['summary.name']!;
  };

  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'lifeboat-vcsim-'));
    vcenter = await startSimulatedVcenter({ directory, plain: true });
    vim = client();
    await find();
  });
  afterAll(async () => {
    await Promise.all(clients.map((one) => one.close()));
    await vcenter.stop();
    await rm(directory, { recursive: true, force: true });
  });

  it('logs in, and is told what it has reached', () => {
    expect(content.about).toMatchObject({ apiType: 'VirtualCenter', apiVersion: '8.0.3.0' });
    expect(content.rootFolder).toMatchObject({ $ref: 'Folder' });
  });

  it('trusts the certificate by its thumbprint, too', async () => {
    await client({ trust: { thumbprint: vcenter.thumbprint } }).content();
  });

  it('is refused with a wrong password', async () => {
    const wrong = client({ credentials: () => Promise.resolve({ user: vcenter.user, password: 'wrong' }) });
    await expect(wrong.content()).rejects.toMatchObject({ method: 'Login', type: 'InvalidLogin' });
  });

  it('logs in again where its session has ended', async () => {
    const other = client();
    const { sessionManager } = await other.content();
    await other.call('Logout', sessionManager!);
    expect(await other.list('Datacenter', ['name'])).toMatchObject([{ name: 'DC0' }]);
    await other.call('Logout', sessionManager!);
    const time = await other.call('CurrentTime', managed('ServiceInstance', 'ServiceInstance'));
    expect(Math.abs(time.getTime() - Date.now())).toBeLessThan(60_000);
  });

  it('lists objects of more than a page', async () => {
    const shelf = await vim.call('CreateFolder', vmFolder, { name: 'shelf' });
    const names = Array.from({ length: 230 }, (_, index) => `folder ${index}`);
    for (const name of names) await vim.call('CreateFolder', shelf, { name });
    const listed = await vim.list('Folder', ['name', 'parent'], shelf);
    expect(listed.map(({ name }) => name).sort()).toEqual(names.sort());
    expect(listed.every(({ parent }) => sameObject(parent, shelf))).toBe(true);
    await vim.run('Destroy_Task', shelf);
  });

  it('lists nothing where there is nothing', async () => {
    expect(await vim.list('OpaqueNetwork', ['name'])).toEqual([]);
  });

  it('creates a VM with what it was told, and finds it', async () => {
    const name = `web %2f 'a' & <co> ü`;
    const vm = await createVm(name, {
      annotation: 'line 1\nline 2 & more',
      firmware: 'efi',
      changeTrackingEnabled: true,
      extraConfig: [{ $type: 'OptionValue', key: 'lifeboat.mark', value: 'plan/run 1' }],
      instanceUuid: '503d6a0b-0000-4000-8000-000000000001',
    });
    const found = await vim.get(
      vm,
      'name',
      'config.annotation',
      'config.firmware',
      'config.changeTrackingEnabled',
      'config.extraConfig',
      'config.hardware.numCPU',
      'runtime.powerState',
      'snapshot',
    );
    expect(found).toMatchObject({
      'config.annotation': 'line 1\nline 2 & more',
      'config.firmware': 'efi',
      'config.changeTrackingEnabled': true,
      'config.hardware.numCPU': 1,
      'runtime.powerState': 'poweredOff',
    });
    expect(found.snapshot).toBeUndefined();
    expect(found['config.extraConfig']).toContainEqual({
      $type: 'OptionValue',
      key: 'lifeboat.mark',
      value: 'plan/run 1',
    });
    expect(
      await vim.call('FindByUuid', content.searchIndex!, {
        uuid: '503d6a0b-0000-4000-8000-000000000001',
        vmSearch: true,
        instanceUuid: true,
      }),
    ).toEqual(vm);
    const nobody = { uuid: '00000000-0000-4000-8000-000000000000', vmSearch: true };
    expect(await vim.call('FindByUuid', content.searchIndex!, nobody)).toBeUndefined();
    await vim.run('Destroy_Task', vm);
    await expect(vim.get(vm, 'name')).rejects.toMatchObject({ type: 'ManagedObjectNotFound' });
  });

  it('reconfigures a VM, and sends devices back as they came', async () => {
    const vm = await createVm('devices');
    const devices = async () => (await vim.get(vm, 'config.hardware.device'))['config.hardware.device'] ?? [];
    const controllerKey = (await devices()).find(({ $type }) => $type === 'ParaVirtualSCSIController')!.key;
    await vim.run('ReconfigVM_Task', vm, {
      spec: {
        numCPUs: 2,
        deviceChange: [
          {
            operation: 'add',
            fileOperation: 'create',
            device: {
              $type: 'VirtualDisk',
              key: -100,
              controllerKey,
              unitNumber: 3,
              capacityInKB: 8192,
              capacityInBytes: 8_388_608,
              backing: { $type: 'VirtualDiskFlatVer2BackingInfo', fileName: '', diskMode: 'persistent' },
            },
          },
          {
            operation: 'add',
            device: {
              $type: 'VirtualVmxnet3',
              key: -10,
              addressType: 'manual',
              macAddress: '00:50:56:00:00:01',
              backing: { $type: 'VirtualEthernetCardNetworkBackingInfo', deviceName: 'VM Network' },
            },
          },
        ],
      },
    });
    const disk = (await devices()).find((device) => device.$type === 'VirtualDisk')!;
    expect(disk).toMatchObject({ controllerKey, unitNumber: 3, capacityInBytes: 8_388_608 });
    const card = (await devices()).find((device) => device.$type === 'VirtualVmxnet3')!;
    expect(card).toMatchObject({ macAddress: '00:50:56:00:00:01' });
    await vim.run('ReconfigVM_Task', vm, {
      spec: {
        deviceChange: [
          { operation: 'remove', device: disk },
          { operation: 'edit', device: { ...card, macAddress: '00:50:56:00:00:02' } },
        ],
      },
    });
    expect((await devices()).filter(({ $type }) => $type === 'VirtualDisk')).toEqual([]);
    expect((await devices()).find(({ $type }) => $type === 'VirtualVmxnet3')).toMatchObject({
      macAddress: '00:50:56:00:00:02',
    });
    await vim.run('Destroy_Task', vm);
  });

  it('takes snapshots, reads them, and removes them', async () => {
    const vm = await createVm('snapshots');
    const parent = await vim.run('CreateSnapshotEx_Task', vm, { name: 'one', memory: false });
    const child = await vim.run('CreateSnapshotEx_Task', vm, {
      name: 'two',
      description: '{"id":"a & b"}',
      memory: false,
      quiesceSpec: { $type: 'VirtualMachineGuestQuiesceSpec', timeout: 5 },
    });
    const { snapshot } = await vim.get(vm, 'snapshot');
    expect(snapshot).toMatchObject({
      currentSnapshot: child,
      rootSnapshotList: [
        {
          name: 'one',
          snapshot: parent,
          childSnapshotList: [{ name: 'two', description: '{"id":"a & b"}', childSnapshotList: [] }],
        },
      ],
    });
    expect(snapshot?.rootSnapshotList[0]?.createTime).toBeInstanceOf(Date);
    const { config } = await vim.get(child, 'config');
    expect(config?.hardware.device.map(({ $type }) => $type)).toContain('ParaVirtualSCSIController');
    for (const one of [parent, child])
      await vim.run('RemoveSnapshot_Task', one, { removeChildren: false, consolidate: true });
    expect((await vim.get(vm, 'snapshot')).snapshot).toBeUndefined();
    await vim.run('Destroy_Task', vm);
  });

  it('waits for tasks and for properties, many at a time in one session', async () => {
    const vms = await Promise.all(['a', 'b', 'c', 'd'].map((name) => createVm(name)));
    const on = vms.map((vm) =>
      vim.waitFor(
        vm,
        ['name', 'runtime.powerState'],
        (now) => (now['runtime.powerState'] === 'poweredOn' ? now.name : undefined),
        20,
      ),
    );
    await Promise.all(vms.map((vm) => vim.run('PowerOnVM_Task', vm)));
    expect(await Promise.all(on)).toEqual(['a', 'b', 'c', 'd']);
    const error = await vim.run('PowerOnVM_Task', vms[0]!).catch((one: unknown) => one);
    expect(error).toBeInstanceOf(VimFault);
    expect(error).toMatchObject({
      method: 'PowerOnVM_Task',
      type: 'InvalidPowerState',
      fault: { existingState: 'poweredOn', requestedState: 'poweredOn' },
    });
    await Promise.all(vms.map((vm) => vim.run('PowerOffVM_Task', vm)));
    await Promise.all(vms.map((vm) => vim.run('Destroy_Task', vm)));
  });

  it('asks for privileges', async () => {
    const privId = ['VirtualMachine.Inventory.Create', 'Datastore.AllocateSpace'];
    const { currentSession } = await vim.get(content.sessionManager!, 'currentSession');
    const [held] = await vim.call('HasPrivilegeOnEntities', content.authorizationManager!, {
      entity: [vmFolder],
      sessionId: currentSession!.key,
      privId,
    });
    expect(held?.privAvailability.map(({ privId: id }) => id)).toEqual(privId);
  });

  it('reads every property that the schema knows of what is there', async () => {
    const vm = await createVm('all');
    const read = await vim.get(
      vm,
      'config',
      'runtime',
      'summary',
      'guest',
      'capability',
      'layoutEx',
      'storage',
    );
    expect(read.config?.hardware.device.length).toBeGreaterThan(5);
    const [host] = await vim.list('HostSystem', ['name', 'runtime', 'summary', 'config']);
    expect(host?.config?.product.apiType).toBe('HostAgent');
    const [store] = await vim.list('Datastore', ['summary', 'info', 'host', 'capability']);
    expect(store?.summary?.freeSpace).toBeGreaterThan(0);
    const [group] = await vim.list('DistributedVirtualPortgroup', ['config', 'key']);
    expect(group?.config?.distributedVirtualSwitch).toMatchObject({ $ref: 'DistributedVirtualSwitch' });
    await vim.run('Destroy_Task', vm);
  });

  it('finds its way again after vCenter was restarted', async () => {
    const vm = await createVm('forgotten');
    const waiting = vim.waitFor(vm, ['runtime.powerState'], () => undefined, 60).catch((one: unknown) => one);
    await vcenter.restart();
    // The simulator has forgotten its inventory, which is what a task that is lost looks like.
    expect(await waiting).toBeInstanceOf(VimConnectionError);
    await expect(vim.get(vm, 'name')).rejects.toMatchObject({ type: 'ManagedObjectNotFound' });
    await find();
    expect(content.about.apiVersion).toBe('8.0.3.0');
  });
});
