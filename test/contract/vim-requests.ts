import { managed } from '../../hypervisor/vsphere/vim/codec';
import { type MethodName } from '../../hypervisor/vsphere/vim/layout';
import {
  type AnyVirtualDevice,
  type ManagedObject,
  type Methods,
  type VirtualDeviceConfigSpec,
  type VirtualMachineConfigSpec,
} from '../../hypervisor/vsphere/vim/schema';

/** A call, as the client is asked for it. */
export interface VimRequest {
  method: MethodName;
  self: ManagedObject;
  args: object;
}

const request = <M extends MethodName>(
  method: M,
  self: ManagedObject,
  args: Methods[M]['args'],
): VimRequest => ({ method, self, args });

const vm = managed('VirtualMachine', 'vm-42');
const snapshot = managed('VirtualMachineSnapshot', 'snapshot-7');
const folder = managed('Folder', 'group-v3');
const pool = managed('ResourcePool', 'resgroup-8');
const collector = managed('PropertyCollector', 'propertyCollector');
const task = managed('Task', 'task-1');

const add = (device: AnyVirtualDevice): VirtualDeviceConfigSpec => ({ operation: 'add', device });
const remove = (device: AnyVirtualDevice): VirtualDeviceConfigSpec => ({ operation: 'remove', device });
const edit = (device: AnyVirtualDevice): VirtualDeviceConfigSpec => ({ operation: 'edit', device });

const connectable = { startConnected: true, allowGuestControl: false, connected: true };

/** Fields are not in the schema's order on purpose: the client has to bring them into it. */
const newVm: VirtualMachineConfigSpec = {
  bootOptions: {
    efiSecureBootEnabled: false,
    bootOrder: [
      { $type: 'VirtualMachineBootOptionsBootableDiskDevice', deviceKey: 2000 },
      { $type: 'VirtualMachineBootOptionsBootableEthernetDevice', deviceKey: 4000 },
      { $type: 'VirtualMachineBootOptionsBootableCdromDevice' },
    ],
  },
  extraConfig: [
    { $type: 'OptionValue', value: 'plan/run 1', key: 'lifeboat.mark' },
    { $type: 'OptionValue', key: 'disk.EnableUUID', value: 'TRUE' },
    { $type: 'OptionValue', key: 'a.number', value: 7 },
    { $type: 'OptionValue', key: 'a.large.number', value: 2 ** 40 },
    { $type: 'OptionValue', key: 'a.truth', value: true },
  ],
  firmware: 'efi',
  files: { vmPathName: '[datastore 1]' },
  memoryMB: 4096,
  numCPUs: 2,
  numCoresPerSocket: 1,
  deviceChange: [
    add({ $type: 'ParaVirtualSCSIController', sharedBus: 'noSharing', busNumber: 0, key: -1 }),
    add({ $type: 'VirtualLsiLogicController', key: -2, busNumber: 1, sharedBus: 'noSharing' }),
    add({ $type: 'VirtualLsiLogicSASController', key: -3, busNumber: 2, sharedBus: 'virtualSharing' }),
    add({ $type: 'VirtualBusLogicController', key: -4, busNumber: 3, sharedBus: 'physicalSharing' }),
    add({ $type: 'VirtualAHCIController', key: -5, busNumber: 0 }),
    add({ $type: 'VirtualNVMEController', key: -6, busNumber: 0 }),
    add({ $type: 'VirtualIDEController', key: 200, busNumber: 0 }),
    add({
      $type: 'VirtualVmxnet3',
      macAddress: '00:50:56:00:00:01',
      addressType: 'manual',
      key: -10,
      connectable,
      backing: {
        $type: 'VirtualEthernetCardNetworkBackingInfo',
        network: managed('Network', 'network-1'),
        deviceName: 'VM Network',
      },
    }),
    add({
      $type: 'VirtualE1000e',
      key: -11,
      backing: {
        $type: 'VirtualEthernetCardDistributedVirtualPortBackingInfo',
        port: {
          portgroupKey: 'dvportgroup-5',
          switchUuid: '50 3d 6a 0b',
          portKey: '12',
          connectionCookie: 9,
        },
      },
      addressType: 'assigned',
      macAddress: '00:50:56:a0:00:01',
    }),
    add({
      $type: 'VirtualE1000',
      key: -12,
      backing: {
        $type: 'VirtualEthernetCardOpaqueNetworkBackingInfo',
        opaqueNetworkType: 'nsx.LogicalSwitch',
        opaqueNetworkId: 'ls-1',
      },
    }),
    add({
      $type: 'VirtualSerialPort',
      yieldOnPoll: true,
      key: -13,
      backing: { $type: 'VirtualSerialPortFileBackingInfo', fileName: '[datastore 1] web/console.txt' },
    }),
  ],
  changeTrackingEnabled: true,
  annotation: 'a <b> & "c"\nwith a second line, ünd \u{1f6df}',
  guestId: 'debian12_64Guest',
  instanceUuid: '503d6a0b-0000-4000-8000-000000000001',
  uuid: '423d6a0b-0000-4000-8000-000000000001',
  version: 'vmx-19',
  name: "web %2f 'a' & co",
};

const disk = (
  backing: Extract<AnyVirtualDevice, { $type: 'VirtualDisk' }>['backing'],
  capacityInBytes = 10_243 * 512,
): AnyVirtualDevice => ({
  $type: 'VirtualDisk',
  backing,
  capacityInBytes,
  capacityInKB: Math.floor(capacityInBytes / 1024),
  key: -100,
  controllerKey: 1000,
  unitNumber: 0,
});

const disks: VirtualMachineConfigSpec = {
  changeVersion: '2026-11-29T10:00:00.123456Z',
  deviceChange: [
    {
      ...add(
        disk({
          $type: 'VirtualDiskFlatVer2BackingInfo',
          thinProvisioned: true,
          diskMode: 'persistent',
          fileName: '[datastore 1] web/system.vmdk',
        }),
      ),
      fileOperation: 'create',
    },
    // Hot-add: of a disk as it is, of a child of it, and of the other kinds.
    add(
      disk({
        $type: 'VirtualDiskFlatVer2BackingInfo',
        diskMode: 'independent_nonpersistent',
        fileName: '[datastore 1] web/system-000001.vmdk',
        parent: {
          $type: 'VirtualDiskFlatVer2BackingInfo',
          diskMode: 'persistent',
          fileName: '[datastore 1] web/system.vmdk',
        },
      }),
    ),
    add(
      disk(
        {
          $type: 'VirtualDiskSeSparseBackingInfo',
          datastore: managed('Datastore', 'datastore-4'),
          uuid: '6000C29e-0000-0000-0000-000000000001',
          changeId: '52 de c0 d9/12',
          diskMode: 'independent_persistent',
          fileName: '[datastore 1] web/large.vmdk',
        },
        62 * 2 ** 40,
      ),
    ),
    add(
      disk({
        $type: 'VirtualDiskSparseVer2BackingInfo',
        diskMode: 'persistent',
        fileName: '[datastore 1] web/old.vmdk',
      }),
    ),
    add(
      disk({
        $type: 'VirtualDiskRawDiskMappingVer1BackingInfo',
        fileName: '[datastore 1] web/raw.vmdk',
        compatibilityMode: 'virtualMode',
        diskMode: 'persistent',
      }),
    ),
    add(disk({ $type: 'VirtualDiskLocalPMemBackingInfo', fileName: '', diskMode: 'persistent' })),
    // As a server told of it.
    remove({
      $type: 'VirtualDisk',
      key: 2000,
      deviceInfo: { $type: 'Description', label: 'Hard disk 1', summary: '2,048 KB' },
      backing: {
        $type: 'VirtualDiskFlatVer2BackingInfo',
        fileName: '[datastore 1] web/system.vmdk',
        datastore: managed('Datastore', 'datastore-4'),
        backingObjectId: '',
        diskMode: 'persistent',
        split: false,
        writeThrough: false,
        thinProvisioned: true,
        uuid: '6000C29e-0000-0000-0000-000000000002',
        contentId: 'fffffffe',
        digestEnabled: false,
        sharing: 'sharingNone',
      },
      controllerKey: 1000,
      unitNumber: 0,
      capacityInKB: 2048,
      capacityInBytes: 2_097_152,
      shares: { shares: 1000, level: 'normal' },
      storageIOAllocation: { limit: -1, shares: { shares: 1000, level: 'normal' }, reservation: 0 },
      diskObjectId: '42-2000',
      nativeUnmanagedLinkedClone: false,
    }),
    edit({
      $type: 'VirtualVmxnet3',
      key: 4000,
      deviceInfo: { $type: 'Description', label: 'Network adapter 1', summary: 'VM Network' },
      backing: { $type: 'VirtualEthernetCardNetworkBackingInfo', deviceName: 'other', useAutoDetect: false },
      connectable: { ...connectable, status: 'untried', migrateConnect: 'unset' },
      controllerKey: 100,
      unitNumber: 7,
      addressType: 'assigned',
      macAddress: '00:50:56:a0:00:02',
      wakeOnLanEnabled: true,
      resourceAllocation: { reservation: 0, share: { shares: 50, level: 'normal' }, limit: -1 },
      uptCompatibilityEnabled: true,
    }),
  ],
};

const filter = (self: ManagedObject, pathSet: string[]) => ({
  propSet: [{ type: self.$ref, pathSet, all: false }],
  objectSet: [{ obj: self, skip: false }],
});

/** What the hypervisor's adapter asks a vCenter: every method at least once, and every kind of device. */
export const REQUESTS: VimRequest[] = [
  request('RetrieveServiceContent', managed('ServiceInstance', 'ServiceInstance'), {}),
  request('CurrentTime', managed('ServiceInstance', 'ServiceInstance'), {}),
  request('Login', managed('SessionManager', 'SessionManager'), {
    userName: 'VSPHERE.LOCAL\\lifeboat',
    password: `<&>"'  é€`,
  }),
  request('Logout', managed('SessionManager', 'SessionManager'), {}),
  request('CreateContainerView', managed('ViewManager', 'ViewManager'), {
    recursive: true,
    type: ['VirtualMachine', 'Datastore'],
    container: managed('Folder', 'group-d1'),
  }),
  request('DestroyView', managed('ContainerView', 'session[1]2'), {}),
  request('RetrievePropertiesEx', collector, {
    options: { maxObjects: 100 },
    specSet: [
      {
        objectSet: [
          {
            selectSet: [
              { $type: 'TraversalSpec', skip: false, path: 'view', type: 'ContainerView', name: 'all' },
            ],
            skip: true,
            obj: managed('ContainerView', 'session[1]2'),
          },
        ],
        propSet: [{ pathSet: ['name', 'config.hardware.device'], type: 'VirtualMachine' }],
      },
    ],
  }),
  request('RetrievePropertiesEx', collector, { specSet: [filter(vm, ['runtime'])], options: {} }),
  request('ContinueRetrievePropertiesEx', collector, { token: '1' }),
  request('CancelRetrievePropertiesEx', collector, { token: '1' }),
  request('CreatePropertyCollector', collector, {}),
  request('CreateFilter', collector, { partialUpdates: false, spec: filter(task, ['info']) }),
  request('WaitForUpdatesEx', collector, { version: '', options: { maxWaitSeconds: 30 } }),
  request('CancelWaitForUpdates', collector, {}),
  request('DestroyPropertyFilter', managed('PropertyFilter', 'session[1]3'), {}),
  request('DestroyPropertyCollector', collector, {}),
  request('FindByUuid', managed('SearchIndex', 'SearchIndex'), {
    vmSearch: true,
    uuid: '564d6a0b-0000-4000-8000-000000000001',
    instanceUuid: false,
  }),
  request('FindAllByUuid', managed('SearchIndex', 'SearchIndex'), {
    datacenter: managed('Datacenter', 'datacenter-2'),
    uuid: '564d6a0b-0000-4000-8000-000000000001',
    vmSearch: true,
    instanceUuid: true,
  }),
  request('FindByInventoryPath', managed('SearchIndex', 'SearchIndex'), { inventoryPath: '/DC/vm/a%2fb' }),
  request('FindChild', managed('SearchIndex', 'SearchIndex'), { entity: folder, name: 'web' }),
  request('HasPrivilegeOnEntities', managed('AuthorizationManager', 'AuthorizationManager'), {
    entity: [folder, pool],
    privId: ['VirtualMachine.Inventory.Create', 'Resource.AssignVMToPool'],
    sessionId: '52ab',
  }),
  request('CancelTask', task, {}),
  request('CreateFolder', folder, { name: 'restored' }),
  request('CreateVM_Task', folder, { pool, config: newVm, host: managed('HostSystem', 'host-9') }),
  request('CreateVM_Task', folder, { config: { name: 'bare' }, pool }),
  request('ReconfigVM_Task', vm, { spec: disks }),
  request('ReconfigVM_Task', vm, { spec: { numCPUs: 4, memoryMB: 8192, firmware: 'bios' } }),
  request('Rename_Task', vm, { newName: 'web%252f' }),
  request('Destroy_Task', vm, {}),
  request('PowerOnVM_Task', vm, {}),
  request('PowerOnVM_Task', vm, { host: managed('HostSystem', 'host-9') }),
  request('PowerOffVM_Task', vm, {}),
  request('ShutdownGuest', vm, {}),
  request('AnswerVM', vm, { questionId: '1', answerChoice: '0' }),
  request('CreateSnapshotEx_Task', vm, {
    memory: false,
    name: 'lifeboat-0f3a',
    description: '{"id":"a & b"}',
    quiesceSpec: { $type: 'VirtualMachineGuestQuiesceSpec', timeout: 5 },
  }),
  request('CreateSnapshotEx_Task', vm, {
    memory: false,
    name: 'lifeboat-0f3b',
    quiesceSpec: {
      $type: 'VirtualMachineWindowsQuiesceSpec',
      vssBackupContext: 'ctx_auto',
      vssPartialFileSupport: false,
    },
  }),
  request('CreateSnapshotEx_Task', vm, { memory: false, name: 'lifeboat-0f3c' }),
  request('RevertToSnapshot_Task', snapshot, { suppressPowerOn: true }),
  request('RemoveSnapshot_Task', snapshot, { removeChildren: false, consolidate: true }),
  request('ConsolidateVMDisks_Task', vm, {}),
  request('QueryChangedDiskAreas', vm, {
    snapshot,
    startOffset: 5 * 2 ** 40,
    deviceKey: 2000,
    changeId: '52 de/1',
  }),
  request('RefreshStorageInfo', vm, {}),
  request('RefreshDatastore', managed('Datastore', 'datastore-4'), {}),
  request('RefreshDatastoreStorageInfo', managed('Datastore', 'datastore-4'), {}),
];
