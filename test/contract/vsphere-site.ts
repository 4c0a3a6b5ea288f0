import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { vsphereHypervisor, type VsphereHypervisor } from '../../hypervisor/vsphere';
import { controllersOf, type DiskDevice, disksOf } from '../../hypervisor/vsphere/devices';
import { readVsphereSettings, trustOf, type VsphereSettings } from '../../hypervisor/vsphere/settings';
import { VimClient } from '../../hypervisor/vsphere/vim/client';
import {
  type AnyVirtualDevice,
  type ManagedObject,
  type VirtualMachineConfigSpec,
} from '../../hypervisor/vsphere/vim/schema';
import { type SimulatedVcenter, startSimulatedVcenter } from '../../sandbox/vcenter/simulator';

export type VmRef = ManagedObject<'VirtualMachine'>;

/** A simulated vCenter, the adapter on it, and a client of the test's own that looks at it from outside. */
export interface VsphereSite {
  vcenter: SimulatedVcenter;
  settings: VsphereSettings;
  /** What LIFEBOAT_HYPERVISOR would be, after `vsphere:`. */
  settingsFile: string;
  stateDirectory: string;
  hypervisor: VsphereHypervisor;
  client: VimClient;
  /** The same site, as a process that has just started sees it. */
  afresh(): VsphereHypervisor;
  remove(): Promise<void>;
}

export async function startVsphereSite(): Promise<VsphereSite> {
  const directory = await mkdtemp(join(tmpdir(), 'vsphere-'));
  const vcenter = await startSimulatedVcenter({ directory: join(directory, 'site'), boots: false });
  const credentials = join(directory, 'credentials.yaml');
  await writeFile(credentials, JSON.stringify({ user: vcenter.user, password: vcenter.password }));
  await chmod(credentials, 0o600);
  const settingsFile = join(directory, 'vsphere.yaml');
  const { url, thumbprint, deviceDirectory: devices, proxyUuid: proxy } = vcenter;
  await writeFile(settingsFile, JSON.stringify({ url, thumbprint, credentials, devices, proxy }));
  const settings = readVsphereSettings(settingsFile);
  const stateDirectory = join(directory, 'state');
  const opened: VsphereHypervisor[] = [];
  const afresh = (): VsphereHypervisor => {
    const hypervisor = vsphereHypervisor({ settings, stateDirectory });
    opened.push(hypervisor);
    return hypervisor;
  };
  const client = new VimClient({
    url,
    trust: trustOf(settings),
    credentials: () => Promise.resolve({ user: vcenter.user, password: vcenter.password }),
  });
  return {
    vcenter,
    settings,
    settingsFile,
    stateDirectory,
    hypervisor: afresh(),
    client,
    afresh,
    async remove() {
      for (const hypervisor of opened) await hypervisor.close();
      await client.close();
      await vcenter.stop();
      await rm(directory, { recursive: true, force: true });
    },
  };
}

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
  const home = (config?.files.vmPathName ?? '').replace(/[^/]*$/, '');
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

export async function devicesOf(client: VimClient, of: ManagedObject): Promise<AnyVirtualDevice[]> {
  const found = await client.get(of as VmRef, 'config.hardware.device');
  return found['config.hardware.device'] ?? [];
}

/** Disks at the proxy. */
export async function attachedDisks({ client, vcenter }: VsphereSite): Promise<DiskDevice[]> {
  const proxy = await vcenter.control.find('backup-proxy');
  return disksOf(await devicesOf(client, { $ref: 'VirtualMachine', value: proxy }));
}

/** What a backup of a VM may not leave behind: its disks at the proxy, snapshots, deltas that it writes to. */
export async function leftovers(site: VsphereSite, vm: VmRef): Promise<string[]> {
  const { snapshot, runtime, config } = await site.client.get(vm, 'snapshot', 'runtime', 'config');
  const home = (config?.files.vmPathName ?? '').replace(/[^/]*$/, '');
  const attached = (await attachedDisks(site)).map(({ backing }) => backing.fileName ?? '');
  return [
    ...attached.filter((file) => file.startsWith(home)).map((file) => `attached: ${file}`),
    ...(snapshot?.rootSnapshotList ?? []).map(({ name }) => `snapshot: ${name}`),
    ...(runtime?.consolidationNeeded === true ? ['consolidation needed'] : []),
    ...disksOf(config?.hardware.device ?? []).flatMap(({ backing }) =>
      backing.parent === undefined ? [] : [`delta: ${backing.fileName}`],
    ),
  ];
}
