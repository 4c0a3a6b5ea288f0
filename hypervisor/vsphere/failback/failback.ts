import { type Hypervisor, type VmConfiguration, VmExistsError, VmRefusedError } from '../../port';
import { createVm } from './create';
import { describeDisks } from '../describe';
import { type DiskBacking, disksOf, extraConfig, MARK_OPTION } from '../devices';
import { setHardware } from './hardware';
import { heldBy, holdMethods, type HoldMethods } from './hold';
import { type VmRef } from '../vm';
import { addDisk } from './new-disks';
import { chooseNetworks, type SiteNetwork, siteNetworks } from '../networks';
import { datastoreOf, newVmPlace } from './placement';
import { powerOff, powerOn, shutDown } from './power';
import { removeVm } from './remove';
import { type Site } from '../site';
import { consoleText } from './console';

export type FailbackMethods = Pick<
  Hypervisor,
  | 'createVm'
  | 'freeBytes'
  | 'addDisk'
  | 'openDisk'
  | 'configureVm'
  | 'deleteVm'
  | 'powerOn'
  | 'shutDown'
  | 'powerOff'
  | 'consoleOutput'
> &
  HoldMethods;

/** What bringing a VM home asks of vSphere. */
export function failbackMethods(site: Site): FailbackMethods {
  const { client, inventory, hotAdd, settings } = site;
  return {
    ...holdMethods(site, releaseDisksOf),

    async createVm(vm, configuration, mark) {
      const existing = await inventory.vmIfThere(vm);
      if (existing !== undefined) {
        const { config } = await client.get(existing, 'config');
        if (extraConfig(config?.extraConfig, MARK_OPTION) === mark) return;
        throw new VmExistsError(vm);
      }
      const place = await newVmPlace(inventory, vm, configuration.displayName);
      await createVm(client, place, { configuration, mark }, await networksFor(configuration));
    },

    async freeBytes() {
      const { ref } = await datastoreOf(inventory);
      // What vCenter shows may be some minutes old.
      await client.call('RefreshDatastore', ref);
      const { summary } = await client.get(ref, 'summary');
      return summary?.freeSpace ?? 0;
    },

    async addDisk(vm, disk) {
      await addDisk(client, await inventory.vm(vm), vm, disk);
    },

    async openDisk(vm, diskKey) {
      const { config, runtime, snapshot } = await client.get(
        await inventory.vm(vm),
        ...(['config', 'runtime', 'snapshot'] as const),
      );
      const found =
        config && describeDisks(config).find(({ configuration }) => configuration.key === diskKey)?.disk;
      if (found === undefined) throw new Error(`VM "${vm}" has no disk "${diskKey}".`);
      if (runtime?.powerState !== 'poweredOff')
        throw new Error(`VM "${vm}" is ${runtime?.powerState ?? 'in no known state'}; power it off first.`);
      const { uuid, sizeBytes, backing } = found;
      // A snapshot leaves it out, so what is written to it could not be taken back.
      if (
        heldBy(snapshot?.rootSnapshotList) !== undefined &&
        backing.diskMode?.startsWith('independent') === true
      )
        throw new VmRefusedError(
          `Disk "${diskKey}" of VM "${vm}" is independent (${backing.diskMode}), and no snapshot holds it. Set its mode to dependent.`,
        );
      return hotAdd.open({ uuid, sizeBytes, backing, shown: `Disk "${diskKey}" of VM "${vm}"` }, 'write');
    },

    async configureVm(vm, configuration) {
      await setHardware(client, await inventory.vm(vm), vm, configuration, await networksFor(configuration));
    },

    async deleteVm(vm) {
      const ref = await inventory.vmIfThere(vm);
      if (ref !== undefined) await removeVm(client, ref, vm, () => releaseDisksOf(ref));
    },

    async powerOn(vm) {
      const ref = await inventory.vm(vm);
      // A disk that a dead process left attached keeps its file locked.
      await hotAdd.releaseAbandoned();
      await powerOn(client, ref, vm);
    },

    async shutDown(vm, timeoutSeconds) {
      await shutDown(client, await inventory.vm(vm), vm, timeoutSeconds);
    },

    async powerOff(vm) {
      await powerOff(client, await inventory.vm(vm));
    },

    async consoleOutput(vm) {
      return consoleText(client, inventory, await inventory.vm(vm));
    },
  };

  async function networksFor({
    nics,
  }: Omit<VmConfiguration, 'disks'>): Promise<ReadonlyMap<string, SiteNetwork>> {
    if (nics.length === 0) return new Map();
    const networks = await siteNetworks(client, await inventory.datacenter());
    return chooseNetworks(
      networks,
      settings.networks,
      nics.map(({ network }) => network),
    );
  }

  /** Whoever has them open: the VM and its disks are about to go. */
  async function releaseDisksOf(vm: VmRef): Promise<void> {
    const { config } = await client.get(vm, 'config');
    const files = new Set(disksOf(config?.hardware.device ?? []).flatMap(({ backing }) => filesOf(backing)));
    await hotAdd.release(({ backing }) => filesOf(backing).some((file) => files.has(file)));
  }
}

/** The files that a disk consists of: its own, and those of the snapshots below it. */
function filesOf({ fileName, parent }: DiskBacking): string[] {
  return [...(fileName === undefined ? [] : [fileName]), ...(parent === undefined ? [] : filesOf(parent))];
}
