import { type GuestFiles } from '../../files/port';
import { type ChangePlan } from '../changes/change-plan';
import { parseFstab } from '../disks/fstab';
import { WRITTEN_BY } from '../network/card';
import { ADMIN_UNITS, type Units } from '../units';

/** The initramfs scripts of Debian's cloud-initramfs-growroot and Red Hat's dracut-modules-growroot look for it. */
const GROWROOT_DISABLED = '/etc/growroot-disabled';
const GROWROOT_MAKERS = [
  '/usr/share/initramfs-tools/scripts/local-bottom/growroot',
  '/usr/lib/dracut/modules.d/50growroot/growroot.sh',
];
const REPART = 'systemd-repart.service';
const GROWFS_ROOT = 'systemd-growfs-root.service';
const REPART_DIRECTORIES = ['/usr/lib/repart.d', '/usr/local/lib/repart.d'];
const OWN_REPART_DIRECTORY = '/etc/repart.d';

/**
 * Keeps partitions and file systems from growing into what a volume has beyond the disk: volumes are whole GiB, the
 * disk to go home to is as it was. cloud-init's growing stops with cloud-init.
 */
export async function planNoGrowing(files: GuestFiles, plan: ChangePlan, units: Units): Promise<void> {
  for (const maker of GROWROOT_MAKERS) {
    if ((await files.realpath(maker)) === undefined || (await files.stat(GROWROOT_DISABLED)) !== undefined)
      continue;
    await plan.add(GROWROOT_DISABLED, WRITTEN_BY, 0o644);
    break;
  }
  await planNoRepart(files, plan, units);
  const fstab = await plan.text('/etc/fstab');
  for (const { mountPoint, options } of parseFstab(fstab ?? '')) {
    if (!options.includes('x-systemd.growfs')) continue;
    if (escapePath(mountPoint).includes('\\')) {
      plan.warn(
        `/etc/fstab lets ${mountPoint} grow (x-systemd.growfs). A file system that grows at the recovery site does not fit its disk at home.`,
      );
      continue;
    }
    // By its full name: older versions of systemd-fstab-generator write an instance, not a link to the template.
    await plan.link(`${ADMIN_UNITS}/systemd-growfs@${escapePath(mountPoint)}.service`, '/dev/null');
    if (mountPoint === '/') await plan.link(`${ADMIN_UNITS}/${GROWFS_ROOT}`, '/dev/null');
  }
}

/** A file of the same name in /etc hides a vendor's, in the initramfs as well, where no mask of the guest's counts. */
async function planNoRepart(files: GuestFiles, plan: ChangePlan, units: Units): Promise<void> {
  const own = (await files.list(OWN_REPART_DIRECTORY)).filter((name) => name.endsWith('.conf'));
  let found = own.length > 0;
  for (const directory of REPART_DIRECTORIES) {
    for (const name of await files.list(directory)) {
      if (!name.endsWith('.conf')) continue;
      found = true;
      if (!own.includes(name)) await plan.link(`${OWN_REPART_DIRECTORY}/${name}`, '/dev/null');
    }
  }
  for (const name of own) await plan.setAside(`${OWN_REPART_DIRECTORY}/${name}`);
  if (found && units.seen(REPART)) await plan.link(`${ADMIN_UNITS}/${REPART}`, '/dev/null');
}

/** A mount point as a part of a unit's name (systemd-escape(1) --path). */
export function escapePath(path: string): string {
  const parts = path.split('/').filter(Boolean).join('/');
  if (parts === '') return '-';
  return parts
    .replace(
      /[^A-Za-z0-9:_./]|^\./g,
      (character) => `\\x${character.charCodeAt(0).toString(16).padStart(2, '0')}`,
    )
    .replaceAll('/', '-');
}
