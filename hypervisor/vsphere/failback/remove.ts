import { diskKeyOption, disksOf, extraConfig } from '../devices';
import { isMadeByUs } from '../marks';
import { powerOff } from './power';
import { type VimClient } from '../vim/client';
import { isFault } from '../vim/faults';
import { type VirtualMachineConfigInfo } from '../vim/schema';
import { homeOf, type VmRef } from '../vm';

/**
 * Removes a VM that we made, with its disks. A disk that is neither ours nor in the VM's own directory is detached first and
 * stays: vSphere would delete it, whoever's it is.
 * @param release has the proxy let go of the VM's disks, which vSphere deletes under its hands otherwise
 * @throws Error for a VM that we did not make
 */
export async function removeVm(
  client: VimClient,
  vm: VmRef,
  name: string,
  release: () => Promise<void>,
): Promise<void> {
  try {
    const { config } = await client.get(vm, 'config');
    if (!isMadeByUs(config?.extraConfig))
      throw new Error(`"${name}" (${vm.value}) was not made by Lifeboat, and is not removed by it either.`);
    await powerOff(client, vm);
    await release();
    if (config !== undefined) await detachForeign(client, vm, config);
    await client.run('Destroy_Task', vm, {});
  } catch (error) {
    // Removed by a call whose answer was lost.
    if (!isFault(error, 'ManagedObjectNotFound')) throw error;
  }
}

async function detachForeign(client: VimClient, vm: VmRef, config: VirtualMachineConfigInfo): Promise<void> {
  const directory = homeOf(config.files.vmPathName);
  const foreign = disksOf(config.hardware.device).filter(
    ({ uuid, backing }) =>
      (uuid === undefined || extraConfig(config.extraConfig, diskKeyOption(uuid)) === undefined) &&
      backing.fileName?.startsWith(directory) !== true,
  );
  if (foreign.length === 0) return;
  await client.run('ReconfigVM_Task', vm, {
    // Without a fileOperation: the file stays.
    spec: { deviceChange: foreign.map(({ device }) => ({ operation: 'remove' as const, device })) },
  });
}
