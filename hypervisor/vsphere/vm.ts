import { type VimClient } from './vim/client';
import { type ManagedObject, type VirtualMachineConfigInfo } from './vim/schema';

/** What is asked of a VM, or made of what is known of it, for backups as for failbacks. */

export type VmRef = ManagedObject<'VirtualMachine'>;

export async function isOn(client: VimClient, vm: VmRef): Promise<boolean> {
  return (await powerState(client, vm)) === 'poweredOn';
}

/** Not what a suspended VM is. */
export async function isOff(client: VimClient, vm: VmRef): Promise<boolean> {
  return (await powerState(client, vm)) === 'poweredOff';
}

async function powerState(client: VimClient, vm: VmRef): Promise<string | undefined> {
  return (await client.get(vm, 'runtime.powerState'))['runtime.powerState'];
}

/** @throws Error where vCenter has told no configuration: the VM is being made, or its host is away */
export function mustHaveConfiguration(
  config: VirtualMachineConfigInfo | undefined,
  vm: VmRef,
  name: string,
): VirtualMachineConfigInfo {
  if (config === undefined)
    throw new Error(`vCenter cannot read the configuration of "${name}" now (${vm.value}).`);
  return config;
}

/** Directory of a VM's own files, as `[datastore] name/`; empty where it is not told. @param vmPathName of its .vmx file */
export function homeOf(vmPathName: string | undefined): string {
  return vmPathName?.replace(/[^/]*$/, '') ?? '';
}

/** A VM's name for files of this host: the managed object id, without what a path must not have. */
export function fileNameOf(vm: VmRef): string {
  return vm.value.replace(/[^A-Za-z0-9-]/g, '_');
}
