import { type GuestFiles } from '../../files/port';
import { type ChangePlan } from '../changes/change-plan';
import { WRITTEN_BY } from '../network/card';
import { ADMIN_UNITS, type Units } from '../units';

/** cloud-init's generator and its units look for this file ("How to disable cloud-init" in its documentation). */
const DISABLED = '/etc/cloud/cloud-init.disabled';
/** Their names changed with version 24.3. */
const CLOUD_INIT_UNITS = [
  'cloud-init-local',
  'cloud-init',
  'cloud-init-main',
  'cloud-init-network',
  'cloud-config',
  'cloud-final',
];
const MAX_TEXT_BYTES = 1024 * 1024;

/**
 * Keeps cloud-init quiet during the stay. It would take the instance for a new machine: new host keys, the host name and
 * users of the image, and its own network configuration over the guest's.
 */
export async function planQuietCloudInit(files: GuestFiles, plan: ChangePlan, units: Units): Promise<void> {
  const has =
    (await files.realpath('/usr/lib/systemd/system-generators/cloud-init-generator')) !== undefined ||
    (await files.realpath('/lib/systemd/system-generators/cloud-init-generator')) !== undefined ||
    (await files.realpath('/usr/bin/cloud-init')) !== undefined ||
    CLOUD_INIT_UNITS.some((name) => units.seen(`${name}.service`));
  if (!has) return;
  if ((await files.stat(DISABLED)) === undefined) await plan.add(DISABLED, WRITTEN_BY, 0o644);
  // The kernel's command line is asked first, so there the file would not do.
  if (!(await isForced(files))) return;
  for (const name of CLOUD_INIT_UNITS)
    if (units.seen(`${name}.service`)) await plan.link(`${ADMIN_UNITS}/${name}.service`, '/dev/null');
}

async function isForced(files: GuestFiles): Promise<boolean> {
  const paths = ['/boot/grub/grub.cfg', '/boot/grub2/grub.cfg', '/boot/grub2/grubenv', '/etc/kernel/cmdline'];
  for (const name of await files.list('/boot/loader/entries')) paths.push(`/boot/loader/entries/${name}`);
  for (const path of paths) {
    const real = await files.realpath(path);
    const stat = real === undefined ? undefined : await files.stat(real);
    if (stat?.type !== 'file' || stat.size > MAX_TEXT_BYTES) continue;
    const text = (await files.read(path, MAX_TEXT_BYTES)).toString('latin1');
    if (/\bcloud-init=enabled\b/.test(text)) return true;
  }
  return false;
}
