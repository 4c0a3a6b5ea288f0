import { GuestNotAdaptableError } from '../../port';
import { type Appliance } from './appliance';
import { printable } from './error';

/** What the appliance sees on the guest's disks: partitions, and volumes that are made of them. */

/** One block device of the appliance with something on it. */
export interface Volume {
  /** Name in the appliance: /dev/nvme0n1p2, /dev/mapper/rhel-root. */
  device: string;
  /** By libblkid: xfs, btrfs, ext4, LVM2_member, crypto_LUKS, … */
  type: string;
  uuid: string | undefined;
  label: string | undefined;
  partitionUuid: string | undefined;
}

/** Reading all of a guest's disks' beginnings; disks of EBS that are read for the first time are slow. */
const LOOK_SECONDS = 300;
const MAX_OUTPUT_BYTES = 1024 * 1024;
/** Most devices of one guest that are believed. */
const MAX_VOLUMES = 1000;

/** Makes the volumes of LVM on the guest's disks, as far as they are whole. */
export async function activateVolumes(appliance: Appliance): Promise<void> {
  // What is not whole is told by what is missing when it is looked for; other volumes are none the worse for it.
  await appliance.run(['/bin/lvm', 'vgchange', '--activate', 'y', '--yes'], LOOK_SECONDS, MAX_OUTPUT_BYTES);
}

/** Gives the volumes up, so that nothing of LVM's own is left under way. */
export async function deactivateVolumes(appliance: Appliance): Promise<void> {
  const { exitCode, stderr } = await appliance.run(
    ['/bin/lvm', 'vgchange', '--activate', 'n', '--yes'],
    LOOK_SECONDS,
    MAX_OUTPUT_BYTES,
  );
  if (exitCode !== 0)
    throw new GuestNotAdaptableError(
      `The guest's LVM volumes cannot be given up again: ${printable(stderr).trim().slice(-400)}`,
    );
}

/** All block devices with something on them that libblkid knows. */
export async function readVolumes(appliance: Appliance): Promise<Volume[]> {
  const { stdout } = await appliance.run(['/bin/blkid', '-o', 'export'], LOOK_SECONDS, MAX_OUTPUT_BYTES);
  const volumes: Volume[] = [];
  for (const record of stdout.split('\n\n').slice(0, MAX_VOLUMES)) {
    const value = (name: string): string | undefined =>
      new RegExp(`^${name}=(.*)$`, 'm').exec(record)?.[1]?.replace(/\\(.)/g, '$1');
    const device = value('DEVNAME');
    const type = value('TYPE');
    if (device === undefined || type === undefined || !/^\/dev\/[\w./+:@-]+$/.test(device)) continue;
    volumes.push({
      device,
      type,
      uuid: value('UUID'),
      label: value('LABEL'),
      partitionUuid: value('PARTUUID'),
    });
  }
  return volumes;
}

/** The volume that a name of the guest's fstab means: by tag, or a name of LVM. Undefined for other names, and for none. */
export function findVolume(volumes: Volume[], name: string): Volume | undefined {
  const tag = /^(UUID|LABEL|PARTUUID)="?([^"]*)"?$/.exec(name) ?? byLink(name);
  if (tag) {
    const [, kind, value = ''] = tag;
    return volumes.find(({ uuid, label, partitionUuid }) =>
      kind === 'LABEL'
        ? label === value
        : (kind === 'UUID' ? uuid : partitionUuid)?.toLowerCase() === value.toLowerCase(),
    );
  }
  const mapped = mapperName(name);
  return mapped === undefined ? undefined : volumes.find(({ device }) => device === mapped);
}

function byLink(name: string): string[] | null {
  const match = /^\/dev\/disk\/by-(uuid|label|partuuid)\/(.*)$/.exec(name);
  return match === null ? null : [name, (match[1] ?? '').toUpperCase(), match[2] ?? ''];
}

/** Of /dev/group/volume and /dev/mapper/group-volume: the latter, in which dashes of the names are doubled. */
function mapperName(name: string): string | undefined {
  if (/^\/dev\/mapper\/[\w.+:@-]+$/.test(name)) return name;
  const [, group, volume] = /^\/dev\/([\w.+-]+)\/([\w.+-]+)$/.exec(name) ?? [];
  if (group === undefined || volume === undefined || group === 'disk') return undefined;
  return `/dev/mapper/${group.replaceAll('-', '--')}-${volume.replaceAll('-', '--')}`;
}
