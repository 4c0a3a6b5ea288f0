import { type DeviceNames } from '../../disk/device-names';
import { type GuestFiles } from '../../files/port';
import { type ChangePlan } from '../changes/change-plan';
import { commentOutWithReplacement, withBlock } from '../changes/marked-text';

const DIRECTORY = '/etc/systemd/system';
const UNIT = /^[A-Za-z0-9:_.@-]{1,200}\.(mount|swap)$/;
const MAX_UNIT_BYTES = 64 * 1024;
const WHAT = /^\s*What\s*=\s*(.*?)\s*$/;

/**
 * systemd's own units that mount a disk, or swap to it. A mount's device is a setting; a swap area's is the unit's name,
 * too, so fstab takes its place meanwhile. What is not there on EC2 is put aside.
 */
export async function planMountUnits(files: GuestFiles, plan: ChangePlan, names: DeviceNames): Promise<void> {
  for (const name of await files.list(DIRECTORY)) {
    const path = `${DIRECTORY}/${name}`;
    const kind = UNIT.exec(name)?.[1];
    if (kind === undefined || (await files.stat(path))?.type !== 'file') continue;
    const text = (await files.read(path, MAX_UNIT_BYTES)).toString('latin1');
    const setting = (pattern: RegExp): string | undefined =>
      text
        .split('\n')
        .flatMap((line) => pattern.exec(line)?.[1] ?? [])
        .at(-1);
    const device = setting(WHAT);
    const type = kind === 'swap' ? 'swap' : setting(/^\s*Type\s*=\s*(\S+)/);
    const verdict = device === undefined ? undefined : names.judge(device, type);
    if (device === undefined || verdict === undefined || verdict.is === 'lasting') continue;
    if (verdict.is === 'lost') {
      plan.warn(`${path} uses ${device}, and ${verdict.why}: the unit is left out on EC2.`);
      await plan.setAside(path);
    } else if (kind === 'mount') {
      await plan.edit(path, (unit) =>
        commentOutWithReplacement(unit, (line) =>
          WHAT.exec(line)?.[1] === device ? line.replace(device, () => verdict.link) : undefined,
        ),
      );
    } else {
      await plan.setAside(path);
      await plan.edit('/etc/fstab', (fstab) => withBlock(fstab, [`${verdict.name} none swap sw,nofail 0 0`]));
    }
  }
}
