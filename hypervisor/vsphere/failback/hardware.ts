import { type VmConfiguration } from '../../port';
import { cardChanges } from './cards';
import { type SiteNetwork } from '../networks';
import { type VimClient } from '../vim/client';
import { type VirtualMachineConfigSpec } from '../vim/schema';
import { mustHaveConfiguration, type VmRef } from '../vm';

/**
 * Gives a powered-off VM its CPUs, memory, firmware and network cards. Changes nothing where it has them.
 * @throws Error where it is not off
 */
export async function setHardware(
  client: VimClient,
  vm: VmRef,
  name: string,
  { cpus, memoryMiB, firmware, nics }: Omit<VmConfiguration, 'disks'>,
  networks: ReadonlyMap<string, SiteNetwork>,
): Promise<void> {
  const { config: told, runtime } = await client.get(vm, 'config', 'runtime');
  const config = mustHaveConfiguration(told, vm, name);
  const { hardware } = config;
  const spec: VirtualMachineConfigSpec = {};
  if (hardware.numCPU !== cpus) {
    spec.numCPUs = cpus;
    // vSphere refuses CPUs that are no whole number of sockets.
    if (cpus % (hardware.numCoresPerSocket ?? 1) !== 0) spec.numCoresPerSocket = 1;
  }
  if (hardware.memoryMB !== memoryMiB) spec.memoryMB = memoryMiB;
  const wantedFirmware = firmware === 'uefi' ? 'efi' : 'bios';
  if ((config.firmware ?? 'bios') !== wantedFirmware) spec.firmware = wantedFirmware;
  const cards = cardChanges(hardware.device, nics, networks);
  if (cards.length > 0) spec.deviceChange = cards;
  if (Object.keys(spec).length === 0) return;
  if (runtime?.powerState !== 'poweredOff')
    throw new Error(
      `"${name}" is ${runtime?.powerState ?? 'in no state that vCenter knows'}; power it off first.`,
    );
  await client.run('ReconfigVM_Task', vm, { spec });
}
