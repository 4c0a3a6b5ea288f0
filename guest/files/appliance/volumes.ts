import { parseDiskName, type MadeName, type Tag } from '../../disk/disk-name';
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
  partitionLabel: string | undefined;
  /** Of a volume of LVM: the id of its group and its own, without dashes. */
  lvm: { groupId: string; volumeId: string } | undefined;
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

/**
 * All block devices with something on them that libblkid knows.
 * @param lvm whether to ask LVM for the ids of its volumes, which takes some time
 */
export async function readVolumes(appliance: Appliance, lvm: 'with LVM' | 'without LVM'): Promise<Volume[]> {
  const { stdout } = await appliance.run(['/bin/blkid', '-o', 'export'], LOOK_SECONDS, MAX_OUTPUT_BYTES);
  const ids = lvm === 'with LVM' ? await readLvmIds(appliance) : new Map<string, Volume['lvm']>();
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
      partitionLabel: value('PARTLABEL'),
      lvm: ids.get(device),
    });
  }
  return volumes;
}

/** Ids of all volumes of LVM, by their devices. */
async function readLvmIds(appliance: Appliance): Promise<Map<string, Volume['lvm']>> {
  const { stdout } = await appliance.run(
    ['/bin/lvm', 'lvs', '--noheadings', '--separator', '/', '-o', 'vg_name,lv_name,vg_uuid,lv_uuid'],
    LOOK_SECONDS,
    MAX_OUTPUT_BYTES,
  );
  const ids = new Map<string, Volume['lvm']>();
  for (const line of stdout.split('\n').slice(0, MAX_VOLUMES)) {
    const [, group = '', volume = '', groupId = '', volumeId = ''] =
      /^\s*([\w.+-]{1,128})\/([\w.+-]{1,128})\/([A-Za-z0-9-]{32,40})\/([A-Za-z0-9-]{32,40})\s*$/.exec(line) ??
      [];
    if (group === '') continue;
    const plain = (id: string): string => id.replaceAll('-', '');
    ids.set(mapperName(group, volume), { groupId: plain(groupId), volumeId: plain(volumeId) });
  }
  return ids;
}

/**
 * The volume that a name in the guest's files means, by what is on it: a tag, a link of udev's for one, or what LVM calls it.
 * @returns undefined for names by a place, and where there is none
 */
export function findVolume(volumes: Volume[], name: string): Volume | undefined {
  const parsed = parseDiskName(name);
  if (parsed?.kind === 'tag') {
    const { tag, value } = parsed;
    return volumes.find((volume) => isTagged(volume, tag, value));
  }
  if (parsed?.kind !== 'made') return undefined;
  const { by } = parsed;
  return volumes.find((volume) => isMade(volume, by));
}

function isTagged(volume: Volume, tag: Tag, value: string): boolean {
  switch (tag) {
    case 'LABEL':
      return volume.label === value;
    case 'PARTLABEL':
      return volume.partitionLabel === value;
    // Digits in hexadecimal, which files have in either case.
    case 'UUID':
      return volume.uuid?.toLowerCase() === value.toLowerCase();
    case 'PARTUUID':
      return volume.partitionUuid?.toLowerCase() === value.toLowerCase();
  }
}

function isMade({ device, lvm }: Volume, by: MadeName): boolean {
  switch (by.type) {
    case 'mapper':
      return device === `/dev/mapper/${by.name}`;
    case 'volume':
      return device === mapperName(by.group, by.volume);
    case 'volumeId':
      return lvm?.groupId === by.groupId && lvm.volumeId === by.volumeId;
    case 'other':
      return false;
  }
}

/** In names of /dev/mapper, dashes of the group's name and the volume's are doubled. */
function mapperName(group: string, volume: string): string {
  return `/dev/mapper/${group.replaceAll('-', '--')}-${volume.replaceAll('-', '--')}`;
}
