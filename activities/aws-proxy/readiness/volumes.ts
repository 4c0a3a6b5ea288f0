import { type DrPlan } from '../../../plan/schema';
import { diskKeysOf, mergedVolumeSettings, volumeLayers } from '../../../plan/recovery-site/volume-settings';
import { volumeProblems } from '../../../plan/recovery-site/volume-types';
import { type DrCopy } from '../account/contract';

/** What is wrong with the volumes that the plan wants for the disks that there are: their sizes are known here only. */
export function volumeFindings(plan: DrPlan, drCopies: DrCopy[], test: boolean): string[] {
  return plan.vms.flatMap((vm) => {
    const disks = drCopies.find((copy) => copy.vm === vm.name)?.disks;
    if (disks === undefined) return [];
    const keys = disks.map(({ key }) => key);
    const unknown = diskKeysOf(vm, test).filter((key) => !keys.includes(key));
    return [
      ...unknown.map(
        (key) =>
          `The plan says how the volume of the disk ${key} of ${vm.name} is made; it has ${keys.join(', ')}.`,
      ),
      ...disks.flatMap((disk) =>
        volumeProblems(mergedVolumeSettings(volumeLayers(plan, vm, test, disk.key)), disk).map(
          ({ field, message }) => `The volume of the disk ${disk.key} of ${vm.name}: ${field}: ${message}.`,
        ),
      ),
    ];
  });
}
