import { type Hypervisor } from '../port';
import { backupMethods } from './backup';
import { failbackMethods } from './failback';
import { type VsphereSettings } from './settings';
import { vsphereSite } from './site';

export interface VsphereHypervisorOptions {
  settings: VsphereSettings;
  /** Of this host; shared by all of its workers, and by nobody else. */
  stateDirectory: string;
}

/** The adapter, and its end: it holds a session of vCenter. */
export interface VsphereHypervisor extends Hypervisor {
  close(): Promise<void>;
}

/**
 * A vCenter as the primary site. This host must be a VM of it, the backup proxy: disks are read and written by attaching them to
 * that VM. Any number of processes on this host may use it at once.
 * @throws VsphereSettingsError
 */
export function vsphereHypervisor({ settings, stateDirectory }: VsphereHypervisorOptions): VsphereHypervisor {
  const site = vsphereSite(settings, stateDirectory);
  return { ...backupMethods(site), ...failbackMethods(site), close: () => site.client.close() };
}
