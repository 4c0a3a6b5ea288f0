import { type DrPlan, type PlannedVm } from '../schema';
import { DEFAULT_VOLUME_TYPE, type VolumeSettings } from './volume-types';

/** Of the disks that the plan says something of, by their keys. */
export type VolumesByDisk = Record<string, VolumeSettings>;

/** Where something is said of volumes. What stands later goes before. */
interface VolumeLayer {
  path: PropertyKey[];
  settings: VolumeSettings;
}

/**
 * What is said of a VM's disk, from the most general to the most particular: the plan's site, the VM, the disk; and in a test, which
 * has what production has where nothing else is said, the same of the test.
 * @param diskKey undefined for the disks that nothing is said of by key
 * @param index the VM's in the plan
 */
export function volumeLayers(
  plan: Pick<DrPlan, 'recoverySite'>,
  vm: Pick<PlannedVm, 'recoverySite'>,
  test: boolean,
  diskKey?: string,
  index = 0,
): VolumeLayer[] {
  return (test ? (['production', 'test'] as const) : (['production'] as const)).flatMap((site) => {
    const path: PropertyKey[] = ['recoverySite', site, 'volumes'];
    const ofVm = vm.recoverySite?.[site]?.volumes;
    const { disks = {}, ...ofAll } = ofVm ?? {};
    const ofDisk = diskKey !== undefined && Object.hasOwn(disks, diskKey) ? disks[diskKey] : undefined;
    const vmPath: PropertyKey[] = ['vms', index, ...path];
    return [
      { path, settings: plan.recoverySite[site].volumes },
      { path: vmPath, settings: ofVm && ofAll },
      { path: [...vmPath, 'disks', diskKey ?? ''], settings: ofDisk },
    ].filter((layer): layer is VolumeLayer => layer.settings !== undefined);
  });
}

/** One after the other, field by field. Who names another type does not mean the performance of the one before. */
export function mergedVolumeSettings(layers: VolumeLayer[]): VolumeSettings {
  let merged: VolumeSettings = {};
  for (const { settings } of layers) {
    const before = merged.volumeType ?? DEFAULT_VOLUME_TYPE;
    if ((settings.volumeType ?? before) !== before) {
      const { iops: _, throughput: __, ...rest } = merged;
      merged = rest;
    }
    merged = { ...merged, ...settings };
  }
  return merged;
}

/** How the volumes of a VM's disks are made; a disk of which the plan says nothing is absent. */
export function volumesByDisk(
  plan: Pick<DrPlan, 'recoverySite'>,
  vm: PlannedVm,
  test: boolean,
  diskKeys: string[],
): VolumesByDisk {
  return Object.fromEntries(
    diskKeys.flatMap((key) => {
      const settings = mergedVolumeSettings(volumeLayers(plan, vm, test, key));
      return Object.keys(settings).length === 0 ? [] : [[key, settings] as const];
    }),
  );
}

/** Keys of the disks that the plan speaks of, for a failover or a test. */
export function diskKeysOf({ recoverySite }: Pick<PlannedVm, 'recoverySite'>, test: boolean): string[] {
  const keys = (site: 'production' | 'test'): string[] =>
    Object.keys(recoverySite?.[site]?.volumes?.disks ?? {});
  return [...new Set([...keys('production'), ...(test ? keys('test') : [])])];
}
