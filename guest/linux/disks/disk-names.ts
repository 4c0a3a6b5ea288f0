import { type DeviceNames } from '../../disk/device-names';
import { type GuestFiles } from '../../files/port';
import { type ChangePlan } from '../changes/change-plan';
import { crypttabForRecoverySite } from './crypttab';
import { tellDiskMentions } from './disk-mentions';
import { fstabForRecoverySite } from './fstab';
import { planLvm } from './lvm';
import { MDADM_CONFIGURATIONS, mdadmForRecoverySite } from './mdadm';
import { planMountUnits } from './mount-units';

/**
 * Puts every name of a disk that holds at the primary site only to one that lasts, in whatever the guest mounts its
 * disks by; what is not there is left out and told. Boot loaders and initramfs have functions of their own, and an
 * initramfs gets what changes here in place of its copies.
 * @throws GuestNotAdaptableError where the root file system has no name that holds
 */
export async function planDiskNames(files: GuestFiles, plan: ChangePlan, names: DeviceNames): Promise<void> {
  const warn = (sentence: string) => plan.warn(sentence);
  await plan.edit('/etc/crypttab', (text) => crypttabForRecoverySite(text, names, warn));
  await plan.edit('/etc/fstab', (text) => fstabForRecoverySite(text, names, warn));
  await planMountUnits(files, plan, names);
  await planLvm(files, plan, names);
  for (const path of MDADM_CONFIGURATIONS) await plan.edit(path, mdadmForRecoverySite);
  await tellDiskMentions(files, plan);
}
