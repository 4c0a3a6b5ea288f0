import { type Hypervisor, VmNotFoundError } from '../port';
import { extraConfig, MARK_OPTION } from './devices';
import { describeConfiguration, networkNames } from './describe';
import { type Site } from './site';
import { isFault } from './vim/faults';

export type BackupMethods = Pick<
  Hypervisor,
  'listVms' | 'describeVm' | 'snapshotVm' | 'openSnapshotDisk' | 'changedAreas' | 'releaseSnapshot'
>;

/** What a backup asks of vSphere. */
export function backupMethods({ client, inventory }: Site): BackupMethods {
  const missing = (): Promise<never> =>
    Promise.reject(new Error('The vSphere adapter cannot take backups yet.'));
  return {
    listVms: () => inventory.references(),

    async describeVm(vm) {
      const ref = await inventory.vm(vm);
      try {
        const { config, 'runtime.powerState': power } = await client.get(ref, 'config', 'runtime.powerState');
        // A VM that is being made, or whose host is away, has no configuration.
        if (config === undefined)
          throw new Error(`vCenter does not tell the configuration of "${vm}" now; its host may be away.`);
        const mark = extraConfig(config.extraConfig, MARK_OPTION);
        return {
          ...describeConfiguration(config, await networkNames(client, config.hardware.device), vm),
          power: power === 'poweredOff' ? 'off' : 'running',
          ...(mark === undefined ? {} : { mark }),
        };
      } catch (error) {
        if (isFault(error, 'ManagedObjectNotFound')) throw new VmNotFoundError(vm);
        throw error;
      }
    },

    snapshotVm: missing,
    openSnapshotDisk: missing,
    changedAreas: missing,
    releaseSnapshot: missing,
  };
}
