import { controllersOf, disksOf } from '../../hypervisor/vsphere/devices';
import { type VimClient } from '../../hypervisor/vsphere/vim/client';
import {
  type AnyVirtualDevice,
  type ManagedObject,
  type VirtualMachineConfigSpec,
} from '../../hypervisor/vsphere/vim/schema';
import { homeOf, type VmRef } from '../../hypervisor/vsphere/vm';
import { PROXY_NAME } from '../../sandbox/vcenter/simulator';
import { type VsphereSite } from './vsphere-site';

/** VMs made behind the adapter's back, as administrators have them, and what a backup has left of its work on them. */

export interface TestVm {
  name: string;
  /** Sizes in bytes, by unit. */
  disks: number[];
  controller?: 'ParaVirtualSCSIController' | 'VirtualLsiLogicSASController';
  more?: VirtualMachineConfigSpec;
  backing?: Record<string, unknown>;
  /** The datacenter's own where absent. */
  folder?: ManagedObject<'Folder'>;
}

/** Makes a VM with empty disks on one SCSI controller, by calls of the test's own. */
export async function makeVm(
  { client }: VsphereSite,
  { name, disks, controller = 'ParaVirtualSCSIController', more, backing, ...place }: TestVm,
): Promise<VmRef> {
  const [datacenter] = await client.list('Datacenter', ['vmFolder']);
  const [pool] = await client.list('ResourcePool', ['name']);
  const [datastore] = await client.list('Datastore', ['name']);
  const folder = place.folder ?? datacenter?.vmFolder;
  if (!folder || !pool || !datastore?.name) throw new Error('The simulated data centre is not whole.');
  const vm = await client.run('CreateVM_Task', folder, {
    pool: pool.ref,
    config: {
      name,
      guestId: 'debian12_64Guest',
      numCPUs: 1,
      memoryMB: 64,
      firmware: 'bios',
      files: { vmPathName: `[${datastore.name}]` },
      deviceChange: [
        {
          operation: 'add',
          device: { $type: controller, key: -1, busNumber: 0, sharedBus: 'noSharing' } as AnyVirtualDevice,
        },
      ],
      ...more,
    },
  });
  const { config } = await client.get(vm, 'config');
  const home = homeOf(config?.files.vmPathName);
  for (const [unit, sizeBytes] of disks.entries())
    await addDisk({ client }, vm, { unit, sizeBytes, file: `${home}disk${unit}.vmdk`, backing });
  return vm;
}

export async function addDisk(
  { client }: Pick<VsphereSite, 'client'>,
  vm: VmRef,
  disk: { unit: number; sizeBytes: number; file: string; backing?: Record<string, unknown> | undefined },
): Promise<void> {
  const controllerKey = controllersOf(await devicesOf(client, vm))[0]?.key ?? 0;
  await client.run('ReconfigVM_Task', vm, {
    spec: {
      deviceChange: [
        {
          operation: 'add',
          fileOperation: 'create',
          device: {
            $type: 'VirtualDisk',
            key: -100,
            controllerKey,
            unitNumber: disk.unit,
            capacityInKB: Math.floor(disk.sizeBytes / 1024),
            capacityInBytes: disk.sizeBytes,
            backing: {
              $type: 'VirtualDiskFlatVer2BackingInfo',
              fileName: disk.file,
              diskMode: 'persistent',
              thinProvisioned: true,
              ...disk.backing,
            },
          },
        },
      ],
    },
  });
}

async function devicesOf(client: VimClient, vm: VmRef): Promise<AnyVirtualDevice[]> {
  const found = await client.get(vm, 'config.hardware.device');
  return found['config.hardware.device'] ?? [];
}

/** Files of the disks at the proxy. It is found by its name here: the adapter, which is looked after, knows it by its UUID. */
export async function attachedFiles({ client, vcenter }: VsphereSite): Promise<string[]> {
  const proxy = await vcenter.control.find(PROXY_NAME);
  const devices = await devicesOf(client, { $ref: 'VirtualMachine', value: proxy });
  return disksOf(devices).map(({ backing }) => backing.fileName ?? '');
}

/** What a backup of a VM may not leave behind: its disks at the proxy, snapshots, deltas that it writes to. */
export async function leftovers(site: VsphereSite, vm: VmRef): Promise<string[]> {
  const { snapshot, runtime, config } = await site.client.get(vm, 'snapshot', 'runtime', 'config');
  const home = homeOf(config?.files.vmPathName);
  return [
    ...(await attachedFiles(site)).filter((file) => file.startsWith(home)).map((file) => `attached: ${file}`),
    ...(snapshot?.rootSnapshotList ?? []).map(({ name }) => `snapshot: ${name}`),
    ...(runtime?.consolidationNeeded === true ? ['consolidation needed'] : []),
    ...disksOf(config?.hardware.device ?? []).flatMap(({ backing }) =>
      backing.parent === undefined ? [] : [`delta: ${backing.fileName}`],
    ),
  ];
}
