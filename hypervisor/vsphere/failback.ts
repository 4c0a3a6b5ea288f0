import { type Hypervisor } from '../port';
import { type Site } from './site';

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
>;

/** What bringing a VM home asks of vSphere. */
export function failbackMethods(_site: Site): FailbackMethods {
  const missing = (): Promise<never> =>
    Promise.reject(new Error('The vSphere adapter cannot bring VMs home yet.'));
  return {
    createVm: missing,
    freeBytes: missing,
    addDisk: missing,
    openDisk: missing,
    configureVm: missing,
    deleteVm: missing,
    powerOn: missing,
    shutDown: missing,
    powerOff: missing,
    consoleOutput: missing,
  };
}
