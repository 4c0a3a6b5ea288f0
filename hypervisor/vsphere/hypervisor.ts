import { type Hypervisor, type SiteQuestion } from '../port';
import { backupMethods } from './backup/backup';
import { failbackMethods } from './failback/failback';
import { checkSite } from './check/preflight';
import { type VsphereSettings } from './settings';
import { type Site, vsphereSite } from './site';
import { clearAll } from './backup/leftovers';
import { explain, VimFault } from './vim/faults';

export interface VsphereHypervisorOptions {
  settings: VsphereSettings;
  /** Of this host; shared by all of its workers, and by nobody else. */
  stateDirectory: string;
}

export interface VsphereHypervisor extends Hypervisor {
  /**
   * Lets go of what workers that died have left in the data centre; for when a worker starts.
   * @returns what was done, one sentence each
   */
  clearLeftovers(): Promise<string[]>;
  /** Ends the session of vCenter. */
  close(): Promise<void>;
}

/**
 * A vCenter as the primary site. This host must be a VM of it, the backup proxy: disks are read and written by attaching them to
 * that VM. Any number of processes on this host may use it at once.
 * @throws VsphereSettingsError
 */
export function vsphereHypervisor({ settings, stateDirectory }: VsphereHypervisorOptions): VsphereHypervisor {
  return hypervisorOf(vsphereSite(settings, stateDirectory));
}

export function hypervisorOf(site: Site): VsphereHypervisor {
  const methods = {
    ...backupMethods(site),
    ...failbackMethods(site),
    check: (question: SiteQuestion) => checkSite(site, question),
    clearLeftovers: () => clearAll(site),
  };
  return { ...explained(methods), close: () => site.client.close() };
}

/** Wraps methods so that a fault of vSphere's comes with what to do about it. */
function explained<Methods extends object>(methods: Methods): Methods {
  const wrapped = Object.entries(methods).map(([name, method]: [string, unknown]) => [
    name,
    async (...args: unknown[]): Promise<unknown> => {
      try {
        return (await Reflect.apply(method as () => unknown, methods, args)) as unknown;
      } catch (error) {
        if (error instanceof VimFault) throw new Error(explain(error), { cause: error });
        throw error;
      }
    },
  ]);
  return Object.fromEntries(wrapped) as Methods;
}
