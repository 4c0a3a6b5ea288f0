/**
 * Reading any name of a disk that a guest's files can have: what fstab(5), crypttab(5), the kernel's command line,
 * initramfs-tools, LVM, mdadm, multipath and systemd's units take. Whether it leads somewhere is not for here.
 */

/** What a name goes by. */
export type DiskName =
  /** By what is on the disk, as a tag or as udev's link for it. */
  | { kind: 'tag'; tag: Tag; value: string }
  /** By what LVM, mdadm, cryptsetup and the like make of disks, which know theirs by what is on them. */
  | { kind: 'made'; by: MadeName }
  /** By the order of discovery, or by the place on a controller. */
  | { kind: 'place'; place: Place; partition: number | undefined }
  /** By what the hardware says of itself: serial numbers and world-wide names. */
  | { kind: 'hardware'; id: string; partition: number | undefined }
  /** Floppies, optical drives, cards: nothing that a server's system is on. */
  | { kind: 'removable' }
  /** A device that the guest's memory or network is behind. */
  | { kind: 'virtual' }
  /** Another name in /dev: a link of the guest's own udev rules, as a rule. */
  | { kind: 'unknown' };

export type Tag = 'UUID' | 'LABEL' | 'PARTUUID' | 'PARTLABEL';

export type Place =
  /** sda is 0, sdaa is 26. */
  | { by: 'letter'; index: number }
  /** Target of a SCSI controller, port of a SATA controller; from 0. */
  | { by: 'slot'; slot: number }
  /** As in nvme0n1. */
  | { by: 'nvme'; controller: number; namespace: number }
  /** A place that says nothing here: a port of a SAS expander, a PCI address. */
  | { by: 'other' };

export type MadeName =
  /** /dev/mapper/…, as it stands there. */
  | { type: 'mapper'; name: string }
  | { type: 'volume'; group: string; volume: string }
  /** By the ids of the volume group and the volume, in LVM's form without dashes. */
  | { type: 'volumeId'; groupId: string; volumeId: string }
  /** md arrays, LUKS by its UUID, ZFS volumes, bcache. */
  | { type: 'other' };

/** Longest name that is looked at; udev's are below 300. */
const MAX_NAME = 1024;
const LINKS: Record<string, Tag> = {
  'by-uuid': 'UUID',
  'by-label': 'LABEL',
  'by-partuuid': 'PARTUUID',
  'by-partlabel': 'PARTLABEL',
};

/** @returns undefined for what names no disk: tmpfs, a server's directory, a file, nothing */
export function parseDiskName(text: string): DiskName | undefined {
  if (text.length > MAX_NAME) return undefined;
  const unquoted = text.replace(/^(["'])(.*)\1$/, '$2');
  const tagged = /^(UUID|LABEL|PARTUUID|PARTLABEL|ID)=(.*)$/.exec(unquoted);
  if (tagged?.[1] !== undefined) {
    const value = unescape(tagged[2] ?? '').replace(/^(["'])(.*)\1$/, '$2');
    // The kernel's own form of root=, which counts from a partition.
    const plain = value.replace(/\/PARTNROFF=\d+$/, '');
    return tagged[1] === 'ID' ? byId(value) : { kind: 'tag', tag: tagged[1] as Tag, value: plain };
  }
  if (/^\d{1,4}:\d{1,7}$/.test(unquoted)) return byNumber(unquoted);
  if (!unquoted.startsWith('/dev/')) return undefined;
  const path = unescape(unquoted.slice('/dev/'.length)).replace(/^\.?\/+/, '');
  const [first = '', second = '', ...rest] = path.split('/');
  if (first === 'disk') return byLink(second, rest.join('/'));
  if (first === 'mapper') return second === '' ? { kind: 'unknown' } : byMapper(second);
  if (first === 'md') return { kind: 'made', by: { type: 'other' } };
  if (/^(zvol|bcache|drbd|stratis|vdo)$/.test(first)) return { kind: 'made', by: { type: 'other' } };
  if (second !== '') {
    // A volume group's directory. What it is else, no volume group of the VM has the name of.
    return rest.length === 0
      ? { kind: 'made', by: { type: 'volume', group: first, volume: second } }
      : { kind: 'unknown' };
  }
  return byKernelName(first);
}

/** The place in the order of discovery of a name such as sdb1; undefined for others. Also for GRUB's (hd1,gpt2). */
function byKernelName(name: string): DiskName {
  const scsi = /^(?:s|h|v|xv)d([a-z]{1,3})(\d{0,3})$/.exec(name);
  if (scsi?.[1] !== undefined) {
    return {
      kind: 'place',
      place: { by: 'letter', index: letterIndex(scsi[1]) },
      partition: number(scsi[2]),
    };
  }
  const nvme = /^nvme(\d{1,3})n(\d{1,4})(?:p(\d{1,3}))?$/.exec(name);
  if (nvme !== null) {
    const place = { by: 'nvme' as const, controller: Number(nvme[1]), namespace: Number(nvme[2]) };
    return { kind: 'place', place, partition: number(nvme[3]) };
  }
  if (/^(md\d+(p\d+)?|md_d\d+(p\d+)?|md127|bcache\d+|drbd\d+|zd\d+(p\d+)?)$/.test(name))
    return { kind: 'made', by: { type: 'other' } };
  if (/^(fd\d*|floppy|sr\d+|scd\d+|cdrom\d*|cdrw\d*|dvd\d*|dvdrw\d*|mmcblk\d.*|st\d+|nst\d+)$/.test(name))
    return { kind: 'removable' };
  if (
    /^(zram\d+|ram\d+|loop\d+(p\d+)?|nbd\d.*|rbd\d.*|nfs|root|shm|pts|null|zero|fuse|mqueue|hugepages)$/.test(
      name,
    )
  )
    return { kind: 'virtual' };
  return { kind: 'unknown' };
}

/** Links of /dev/disk. */
function byLink(directory: string, name: string): DiskName {
  const tag = LINKS[directory];
  if (tag !== undefined) return { kind: 'tag', tag, value: name };
  if (directory === 'by-id') return byId(name);
  if (directory === 'by-path') return byPath(name);
  return { kind: 'unknown' };
}

function byId(link: string): DiskName {
  const multipath = /^dm-uuid-(?:part(\d{1,3})-)?mpath-(.+)$/.exec(link);
  if (multipath?.[2] !== undefined)
    return { kind: 'hardware', id: hardwareId(multipath[2]), partition: number(multipath[1]) };
  const [, groupId, volumeId] = /^dm-uuid-LVM-([A-Za-z0-9]{32})([A-Za-z0-9]{32})$/.exec(link) ?? [];
  if (groupId !== undefined && volumeId !== undefined)
    return { kind: 'made', by: { type: 'volumeId', groupId, volumeId } };
  if (link.startsWith('dm-name-')) return byMapper(link.slice('dm-name-'.length));
  if (/^dm-uuid-DMRAID-/.test(link)) return { kind: 'hardware', id: link, partition: undefined };
  if (/^(dm-uuid-|md-uuid-|md-name-|lvm-pv-uuid-|bcache-|raid-)/.test(link))
    return { kind: 'made', by: { type: 'other' } };
  if (/^usb-/.test(link)) return { kind: 'removable' };
  const { whole, partition } = cutPartition(link);
  return { kind: 'hardware', id: hardwareId(whole), partition };
}

/**
 * One id for the names that udev makes of one world-wide name: scsi-36000c29…, wwn-0x6000c29…, multipath's
 * 36000c29… and LVM's naa.6000c29….
 */
export function hardwareId(name: string): string {
  const wwn = /^(?:scsi-3|wwn-0x|naa\.|nvme-eui\.|eui\.|3)([0-9a-fA-F]{16,32})$/.exec(name)?.[1];
  return wwn === undefined ? name : `wwn-${wwn.toLowerCase()}`;
}

/** multipath's own names, and those that it gives the disks' ids to. Everything else is LVM's or cryptsetup's. */
function byMapper(name: string): DiskName {
  const multipath = /^(mpath[a-z]{1,3}|3[0-9a-f]{16,32})(?:-part|p)?(\d{0,3})$/.exec(name);
  if (multipath?.[1] !== undefined)
    return { kind: 'hardware', id: hardwareId(multipath[1]), partition: number(multipath[2]) };
  return { kind: 'made', by: { type: 'mapper', name } };
}

/** pci-0000:03:00.0-scsi-0:0:1:0-part1: host, channel, target, unit. */
function byPath(link: string): DiskName {
  // Newer udevs make links to partitions by what they are called, below the disk's.
  const below = /-part\/(by-(?:uuid|label|partuuid|partlabel))\/(.+)$/.exec(link);
  if (below?.[1] !== undefined) return byLink(below[1], below[2] ?? '');
  const { whole, partition } = cutPartition(link.replace(/-part\/by-partnum\/(\d+)$/, '-part$1'));
  if (/-usb(v\d)?-|-(floppy|cdrom)/.test(whole)) return { kind: 'removable' };
  const slot = /-scsi-\d+:0:(\d{1,3}):0$/.exec(whole)?.[1] ?? /-sas-phy(\d{1,3})-lun-0$/.exec(whole)?.[1];
  if (slot !== undefined) return { kind: 'place', place: { by: 'slot', slot: Number(slot) }, partition };
  // SATA ports and NVMe namespaces are counted from 1.
  const port = /-(?:ata|nvme)-([1-9]\d{0,2})(?:\.0)?$/.exec(whole)?.[1];
  if (port !== undefined) return { kind: 'place', place: { by: 'slot', slot: Number(port) - 1 }, partition };
  return { kind: 'place', place: { by: 'other' }, partition };
}

/** Major and minor number, as the kernel and some initramfs take them: 8:1 is sda1. */
function byNumber(text: string): DiskName {
  const [major = 0, minor = 0] = text.split(':').map(Number);
  // Documentation/admin-guide/devices.txt: 16 minor numbers a disk, and majors 65 to 71 for the disks after sdp.
  const base = major === 8 ? 0 : major >= 65 && major <= 71 ? (major - 64) * 16 : undefined;
  if (base === undefined || minor > 255) return { kind: 'unknown' };
  return {
    kind: 'place',
    place: { by: 'letter', index: base + Math.floor(minor / 16) },
    partition: minor % 16 === 0 ? undefined : minor % 16,
  };
}

function cutPartition(link: string): { whole: string; partition: number | undefined } {
  const match = /^(.*)-part(\d{1,3})$/.exec(link);
  return match?.[1] === undefined
    ? { whole: link, partition: undefined }
    : { whole: match[1], partition: Number(match[2]) };
}

/** fstab's octal \040 and udev's \x20. */
function unescape(text: string): string {
  return text.replace(/\\(?:([0-3][0-7]{2})|x([0-9a-fA-F]{2}))/g, (_, octal?: string, hex?: string) =>
    String.fromCharCode(octal === undefined ? Number.parseInt(hex ?? '', 16) : Number.parseInt(octal, 8)),
  );
}

/** 0 for a, 25 for z, 26 for aa. */
function letterIndex(letters: string): number {
  return [...letters].reduce((index, letter) => index * 26 + letter.charCodeAt(0) - 96, 0) - 1;
}

function number(text: string | undefined): number | undefined {
  return text === undefined || text === '' ? undefined : Number(text);
}
