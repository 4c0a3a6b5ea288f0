import { type DeviceNames } from '../disk/device-names';
import { type GuestFiles } from '../files/port';
import { type ChangePlan } from './change-plan';
import { crypttabForRecoverySite } from './crypttab';
import { tellDiskMentions } from './disk-mentions';
import { fstabForRecoverySite } from './fstab';
import { LVM_CONFIGURATIONS, planLvm } from './lvm';
import { MDADM_CONFIGURATIONS, mdadmForRecoverySite } from './mdadm';
import { planMountUnits } from './mount-units';

/** A file that an initramfs has a copy of, as it is on EC2. */
export interface InitramfsFile {
  /** Without a leading "/". */
  path: string;
  content: Buffer;
}

/** cloud-initramfs-growroot, dracut's growroot and cloud-init's growpart all do nothing where this is. */
const GROWROOT_DISABLED = '/etc/growroot-disabled';
const GROWERS = [
  '/usr/share/initramfs-tools/scripts/local-bottom/growroot',
  '/usr/lib/dracut/modules.d/50growroot',
  '/usr/bin/growpart',
  '/usr/bin/cloud-init',
  '/etc/cloud/cloud.cfg',
];
/** Where systemd-repart is told what to grow or make. */
const REPART = ['/etc/repart.d', '/usr/lib/repart.d', '/usr/local/lib/repart.d'];
const REPART_UNIT = '/etc/systemd/system/systemd-repart.service';

/**
 * Puts every name of a disk that holds at the primary site only to one that lasts, in whatever the guest mounts its
 * disks by; what is not there is left out and told. Boot loaders and initramfs have functions of their own.
 * @returns what an initramfs must have instead of its copies
 * @throws GuestNotAdaptableError where the root file system has no name that holds
 */
export async function planDiskNames(
  files: GuestFiles,
  plan: ChangePlan,
  names: DeviceNames,
): Promise<InitramfsFile[]> {
  const warn = (sentence: string) => plan.warn(sentence);
  await plan.edit('/etc/crypttab', (text) => crypttabForRecoverySite(text, names, warn));
  await plan.edit('/etc/fstab', (text) => fstabForRecoverySite(text, names, warn));
  await planMountUnits(files, plan, names);
  await planLvm(files, plan, names);
  for (const path of MDADM_CONFIGURATIONS) await plan.edit(path, mdadmForRecoverySite);
  await tellDiskMentions(files, plan);
  await keepFromGrowing(files, plan);
  const copies: InitramfsFile[] = [];
  for (const change of plan.changes) {
    if (change.kind === 'replaced' && [...LVM_CONFIGURATIONS, ...MDADM_CONFIGURATIONS].includes(change.path))
      copies.push({ path: change.path.slice(1), content: change.content });
  }
  return copies;
}

/**
 * A volume has whole GiB, and may be larger than the disk was: a root that grew into the rest would not fit on that disk
 * again.
 */
async function keepFromGrowing(files: GuestFiles, plan: ChangePlan): Promise<void> {
  const there = async (path: string) => (await files.realpath(path)) !== undefined;
  for (const grower of GROWERS) {
    if (!(await there(grower)) || (await files.stat(GROWROOT_DISABLED)) !== undefined) continue;
    await plan.add(
      GROWROOT_DISABLED,
      'Written by Lifeboat for the recovery site; removed on the way home.\n',
      0o644,
    );
    break;
  }
  for (const directory of REPART) {
    if ((await files.list(directory)).some((name) => name.endsWith('.conf')))
      await plan.link(REPART_UNIT, '/dev/null');
  }
}
