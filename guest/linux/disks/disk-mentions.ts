import { type GuestFiles } from '../../files/port';
import { type ChangePlan } from '../changes/change-plan';

/** Files in which people name disks, and which are too many kinds to be put right: they are named in the report. */
const FILES = [
  '/etc/rc.local',
  '/etc/rc.d/rc.local',
  '/etc/crontab',
  '/etc/multipath.conf',
  '/etc/smartd.conf',
  '/etc/hdparm.conf',
  '/etc/sdparm.conf',
  '/etc/oracleasm.conf',
  '/etc/sysconfig/oracleasm',
  '/etc/default/oracleasm',
  '/etc/raw',
  '/etc/sysconfig/rawdevices',
];
const DIRECTORIES: [string, RegExp][] = [
  ['/etc/udev/rules.d', /\.rules$/],
  ['/etc/systemd/system', /\.(service|timer|path|device)$/],
  ['/etc/cron.d', /^[^.]/],
  ['/etc/multipath/conf.d', /\.conf$/],
  ['/etc/drbd.d', /\.res$/],
  ['/etc/multipath', /^(bindings|wwids)$/],
];
const MAX_FILES = 200;
const MAX_BYTES = 256 * 1024;
/** A kernel's name of a whole disk or a partition, a link by place or hardware, and how udev's rules match them. */
const PLACE =
  /\/dev\/(?:s|h|v|xv)d[a-z]{1,2}\d{0,2}(?![A-Za-z0-9])|\/dev\/disk\/by-(?:path|id)\/(?!dm-|md-|lvm-)[\w:.+-]+|KERNEL==?"[^"]*\b[shv]d[^"]*"|\/dev\/mapper\/mpath\w+/;

/** Names files of the guest that know its disks by names that do not hold on EC2. */
export async function tellDiskMentions(files: GuestFiles, plan: ChangePlan): Promise<void> {
  const paths = [...FILES];
  for (const [directory, names] of DIRECTORIES) {
    for (const name of await files.list(directory))
      if (names.test(name) && /^[\x21-\x7e]+$/.test(name)) paths.push(`${directory}/${name}`);
  }
  for (const path of paths.slice(0, MAX_FILES)) {
    const stat = await files.stat(path);
    if (stat?.type !== 'file' || stat.size > MAX_BYTES) continue;
    const mention = (await files.read(path, MAX_BYTES))
      .toString('latin1')
      .split('\n')
      .filter((line) => !/^\s*[#;]/.test(line))
      .flatMap((line) => PLACE.exec(line)?.[0] ?? [])[0];
    if (mention !== undefined)
      plan.warn(
        `${path} names the disk ${mention.slice(0, 100)}, which EC2 does not call so: what it does may fail there.`,
      );
  }
}
