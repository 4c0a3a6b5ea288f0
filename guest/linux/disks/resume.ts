import { type DeviceNames } from '../../disk/device-names';
import { type GuestFiles } from '../../files/port';
import { type ChangePlan } from '../changes/change-plan';
import { commentOutWithReplacement } from '../changes/marked-text';

const DIRECTORY = '/etc/initramfs-tools/conf.d';
const CONFIGURATION = '/etc/initramfs-tools/initramfs.conf';
/** initramfs.conf(5): wakes from nothing. */
const NONE = 'none';

/**
 * The swap area that a suspended machine wakes up from, in initramfs-tools' configuration; a name that is none on EC2
 * makes every boot wait for it.
 * @returns what RESUME= shall be where that changes
 */
export async function planResume(
  files: GuestFiles,
  plan: ChangePlan,
  names: DeviceNames,
): Promise<string | undefined> {
  let resume: string | undefined;
  const paths = [CONFIGURATION, ...(await files.list(DIRECTORY)).map((name) => `${DIRECTORY}/${name}`)];
  for (const path of paths) {
    if ((await files.stat(path))?.type === 'directory') continue;
    await plan.edit(path, (text) =>
      commentOutWithReplacement(text, (line) => {
        const match = /^(\s*(?:export\s+)?RESUME=)(["']?)([^\s"'#]+)\2(.*)$/.exec(line);
        const device = match?.[3];
        const verdict = device === undefined ? undefined : names.judge(device);
        if (match === null || device === undefined || verdict === undefined || verdict.is === 'lasting')
          return undefined;
        if (verdict.is === 'lost')
          plan.warn(`${path} wakes the guest from ${device}, and ${verdict.why}: that is left out on EC2.`);
        resume = verdict.is === 'told' ? verdict.name : NONE;
        return `${match[1]}${match[2]}${resume}${match[2]}${match[4]}`;
      }),
    );
  }
  return resume;
}
