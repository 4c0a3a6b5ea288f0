import { type VmConfiguration, VmExistsError } from '../../port';
import { newController } from '../controllers';
import { newCard } from './cards';
import { guestOsMark, marksOfNewVm } from '../marks';
import { escapeName } from '../names';
import { type SiteNetwork } from '../networks';
import { type NewVmPlace } from './placement';
import { type VimClient } from '../vim/client';
import { isFault } from '../vim/faults';
import { type VmRef } from '../vm';

/** For guests that vSphere has no name for: 64 bits, and no settings of its own. */
const SOME_GUEST = 'otherGuest64';

export interface NewVm {
  configuration: Omit<VmConfiguration, 'disks'>;
  mark?: string;
}

/**
 * Makes a powered-off VM without disks, with the controller that its disks will be at.
 * @param networks by the names that the configuration's cards have
 * @throws VmExistsError where the folder has a VM of that name
 */
export async function createVm(
  client: VimClient,
  { folder, pool, datastore, name, instanceUuid }: NewVmPlace,
  { configuration, mark }: NewVm,
  networks: ReadonlyMap<string, SiteNetwork>,
): Promise<VmRef> {
  const { cpus, memoryMiB, firmware, guestOs, nics, diskController = 'pvscsi' } = configuration;
  // vSphere's names of guests all end so (VirtualMachineGuestOsIdentifier); it refuses any other.
  const isGuestId = /^[A-Za-z0-9_]+Guest(64)?$|^[a-z0-9_]+_64Guest$/.test(guestOs);
  try {
    const vm = await client.run('CreateVM_Task', folder, {
      config: {
        name: escapeName(name),
        ...(instanceUuid === undefined ? {} : { instanceUuid }),
        guestId: isGuestId ? guestOs : SOME_GUEST,
        numCPUs: cpus,
        memoryMB: memoryMiB,
        firmware: firmware === 'uefi' ? 'efi' : 'bios',
        files: { vmPathName: `[${datastore}]` },
        deviceChange: [
          { operation: 'add', device: newController({ kind: diskController, bus: 0 }, -1) },
          ...nics.map((nic, index) => ({
            operation: 'add' as const,
            device: newCard(nic, networks, -100 - index),
          })),
        ],
        extraConfig: [...marksOfNewVm(mark), ...(isGuestId ? [] : [guestOsMark(guestOs)])],
      },
      pool: pool,
    });
    if (instanceUuid !== undefined) await checkInstanceUuid(client, vm, instanceUuid, name);
    return vm;
  } catch (error) {
    if (isFault(error, 'DuplicateName')) throw new VmExistsError(name);
    throw error;
  }
}

/** vCenter gives a VM another UUID where that one is in use; the plan would not find it again. */
async function checkInstanceUuid(client: VimClient, vm: VmRef, wanted: string, name: string): Promise<void> {
  const { config } = await client.get(vm, 'config');
  const got = config?.instanceUuid;
  if (got?.toLowerCase() === wanted.toLowerCase()) return;
  await client.run('Destroy_Task', vm, {});
  throw new Error(
    `vCenter gave the new VM "${name}" the instance UUID ${got ?? 'of nothing'} instead of ${wanted}, which another VM has. Remove ` +
      "that VM, or call it by its inventory path in the plan's primaryVm.",
  );
}
