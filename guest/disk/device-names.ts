import { byPlace, onOneController } from '../../machines/disk-place';
import { GuestNotAdaptableError, type OtherDisks } from '../port';
import { parseDiskName, type DiskName, type MadeName, type Place, type Tag } from './disk-name';
import { readGuestDisks, type DiskContent, type GuestDisk } from './guest-disks';
import { type VolumeGroup } from './volume-groups';

/** What a name of a disk is worth on EC2. */
export type Verdict =
  /** It holds on EC2 too, or nothing is known against it. */
  | { is: 'lasting' }
  /** It holds at the primary site only, and what it means has another name: `UUID=…`, and as a link. */
  | { is: 'told'; name: string; link: string; guessed: boolean }
  /** It leads nowhere on EC2. `why` is a clause; `gone` where the VM has no such thing at all. */
  | { is: 'lost'; why: string; gone: boolean };

/** What may hold further file systems, which are not seen from outside. */
const CONTAINER =
  /^(LVM\d_member|crypto_LUKS|.*_raid_member|zfs_member|bcache|stratis|DM_snapshot_cow|drbd|VDO)$/i;
/** Their members share one UUID, by which they are found together. */
const SHARED_UUID = /^(btrfs|bcachefs|zfs_member|.*_raid_member)$/;
/** What fstab calls by more than one name. */
const SAME_TYPE: Record<string, string> = {
  ext2: 'ext',
  ext3: 'ext',
  ext4: 'ext',
  msdos: 'vfat',
  'ntfs-3g': 'ntfs',
  ntfs3: 'ntfs',
};
const OPTICAL = /(^|,)(iso9660|udf)(,|$)/;

/** Knows what the guest's names for disks stood for at the primary site, and what they are worth on EC2. */
export class DeviceNames {
  /** Disks by their hardware's own names, where something in the guest has told them. */
  private readonly hardware = new Map<string, GuestDisk>();
  private readonly claimed = new Set<DiskContent>();
  /** Names in /dev/mapper that the guest makes itself, by its crypttab, and whether what it makes them of is there. */
  private readonly mapped = new Map<string, boolean>();
  /** False once the guest's letters are seen not to be in the order of the disks. */
  private lettersHold = true;
  private slotsHold = true;
  private systemRoot: DiskContent | undefined;

  private constructor(readonly disks: GuestDisk[]) {}

  /** Reads the identities of all file systems of the boot disk and the data disks, read only. */
  static async read(bootDiskPath: string, others: OtherDisks): Promise<DeviceNames> {
    return new DeviceNames(await readGuestDisks(bootDiskPath, others));
  }

  /** Everything on the VM's disks. */
  get contents(): DiskContent[] {
    return this.disks.flatMap((disk) => disk.contents);
  }

  /** What the guest has no other name for. */
  get unclaimed(): DiskContent[] {
    return this.contents.filter((content) => !this.claimed.has(content));
  }

  get volumeGroups(): VolumeGroup[] {
    return this.contents.flatMap((one) => one.physicalVolume?.group ?? []);
  }

  /**
   * Tells which file system is the root, and what the guest calls it: what it says of that disk holds for the disk's
   * other names, and where it contradicts the order of the disks, no such name is believed.
   */
  learnRoot(root: DiskContent, calledByGuest: string[]): void {
    this.systemRoot = root;
    this.claimed.add(root);
    const disk = this.disks.find((one) => one.contents.includes(root));
    if (disk === undefined) return;
    for (const text of calledByGuest) {
      const name = parseDiskName(text);
      if (name?.kind === 'hardware') this.hardware.set(name.id, disk);
      if (name?.kind !== 'place' || this.diskAt(name.place) === disk) continue;
      if (name.place.by === 'letter') this.lettersHold = false;
      if (name.place.by === 'slot') this.slotsHold = false;
    }
  }

  /** The root file system, once it is known. */
  get root(): DiskContent | undefined {
    return this.systemRoot;
  }

  /** Tells what the hardware calls the disk with some content, such as a physical volume. */
  learnHardware(id: string, content: DiskContent): void {
    const disk = this.disks.find((one) => one.contents.includes(content));
    if (disk !== undefined) this.hardware.set(id, disk);
  }

  /** {@link learnHardware} of the disk that the firmware boots from. */
  learnBootDisk(text: string): void {
    const name = parseDiskName(text);
    const disk = this.disks.find((one) => one.boot);
    if (name?.kind === 'hardware' && name.partition === undefined && disk !== undefined)
      this.hardware.set(name.id, disk);
  }

  /** Tells that the guest makes /dev/mapper/`name` by itself, of a disk that is there or not. */
  learnMapped(name: string, there: boolean): void {
    this.mapped.set(name, there);
  }

  /** Tells that the guest uses what a name means, so that no other name is taken for it. */
  claim(text: string): void {
    const content = this.find(text);
    if (content !== undefined) this.claimed.add(content);
  }

  /** What a name means, whichever name it is; undefined where that is nothing of the VM's, or is not certain. */
  find(text: string): DiskContent | undefined {
    const name = parseDiskName(text);
    if (name?.kind === 'tag') return this.tagged(name.tag, name.value)[0];
    if (name?.kind === 'place' || name?.kind === 'hardware') {
      const found = this.locate(name);
      return typeof found === 'string' ? undefined : found;
    }
    return undefined;
  }

  /**
   * Judges a name of a disk; undefined for what names none.
   * @param type the file system's type, as fstab has it, where it is known
   */
  judge(text: string, type?: string): Verdict | undefined {
    const name = parseDiskName(text);
    if (name === undefined) return undefined;
    const verdict = this.judgeName(name, type);
    if (verdict.is === 'lost' && type !== undefined && OPTICAL.test(type))
      return { is: 'lost', gone: true, why: NO_DRIVE };
    return verdict;
  }

  /**
   * A name for the root file system that holds at both sites.
   * @throws GuestNotAdaptableError where it has none
   */
  rootName(where: string, called: string): string {
    const name = this.systemRoot === undefined ? undefined : this.lastingNameOf(this.systemRoot);
    if (name !== undefined) return name.name;
    throw new GuestNotAdaptableError(
      `${where} names the root file system ${called}, and there is no other name for it: ` +
        `${this.twinOf(this.systemRoot)}. Give the copy of it another UUID in the guest (ext4, unmounted: tune2fs -U random DEVICE; ` +
        'xfs: xfs_admin -U generate DEVICE; its disk: sfdisk --disk-id DISK), or take that disk off the VM, and back it up again.',
    );
  }

  /**
   * The UUID of the file system that GRUB's (hd1,gpt2) meant: hd0 is the disk that the firmware boots from, the others
   * follow in their order.
   */
  uuidForGrub(disk: number, partition: number): string | undefined {
    const ordered = this.disks.toSorted((a, b) => Number(b.boot) - Number(a.boot) || byPlace(a, b));
    const content = ordered[disk]?.contents.find((one) => one.partition?.number === partition);
    const uuid = content?.identity.uuid;
    return uuid !== undefined && this.tagged('UUID', uuid).length === 1 ? uuid : undefined;
  }

  private judgeName(name: DiskName, type: string | undefined): Verdict {
    switch (name.kind) {
      case 'virtual':
        return { is: 'lasting' };
      case 'removable':
        return { is: 'lost', gone: true, why: NO_DRIVE };
      case 'unknown':
        return { is: 'lost', gone: false, why: 'what that is cannot be told from outside of the guest' };
      case 'tag':
        return this.tagged(name.tag, name.value).length > 0 || !this.seesAll(name.tag)
          ? { is: 'lasting' }
          : { is: 'lost', gone: true, why: 'no disk of the VM has that' };
      case 'made':
        return this.judgeMade(name.by);
      case 'place':
      case 'hardware':
        return this.judgePlace(name, type);
    }
  }

  private judgeMade(by: MadeName): Verdict {
    const groups = this.volumeGroups;
    const missing = (what: string): Verdict =>
      this.seesAllVolumes()
        ? { is: 'lost', gone: true, why: `no ${what} is on the VM's disks` }
        : { is: 'lasting' };
    if (by.type === 'volume') {
      const group = groups.find((one) => one.name === by.group);
      if (group?.volumes.includes(by.volume)) return { is: 'lasting' };
      return missing(`volume "${by.volume}" of a volume group "${by.group}"`);
    }
    if (by.type === 'volumeId')
      return groups.some((one) => one.id === by.groupId) ? { is: 'lasting' } : missing('such volume group');
    if (by.type === 'mapper' && this.mapped.get(by.name) === false)
      return { is: 'lost', gone: true, why: 'the encrypted disk that it is made of is not there' };
    // A dash of its own separates group and volume; those in their names are doubled.
    if (by.type === 'mapper' && !this.mapped.has(by.name) && /[^-]-[^-]/.test(by.name)) {
      const escaped = (text: string) => text.replaceAll('-', '--');
      const known = groups.some((group) =>
        group.volumes.some((volume) => `${escaped(group.name)}-${escaped(volume)}` === by.name),
      );
      if (!known) return missing('such volume');
    }
    return { is: 'lasting' };
  }

  private judgePlace(name: PlaceName, type: string | undefined): Verdict {
    const content = this.locate(name);
    if (typeof content === 'string') {
      const only =
        name.kind === 'hardware' && content === UNTOLD && type !== undefined
          ? this.onlyFit(name.partition, type)
          : undefined;
      if (only !== undefined) return this.told(only, true);
      return { is: 'lost', gone: content !== UNTOLD, why: content };
    }
    if (type !== undefined && !fits(content, type))
      return {
        is: 'lost',
        gone: false,
        why: `the disk in that place holds ${content.identity.type ?? 'nothing known'} and not ${type}`,
      };
    return this.told(content, false);
  }

  private told(content: DiskContent, guessed: boolean): Verdict {
    const name = this.lastingNameOf(content);
    return name === undefined
      ? { is: 'lost', gone: false, why: this.twinOf(content) }
      : { is: 'told', ...name, guessed };
  }

  /** What a place means, or why it means nothing. */
  private locate({ partition, ...name }: PlaceName): DiskContent | string {
    const disk = name.kind === 'hardware' ? this.hardware.get(name.id) : this.diskAt(name.place);
    if (disk === 'gone') return NO_DISK;
    if (disk === undefined || !disk.known) return UNTOLD;
    return (
      disk.contents.find((one) => one.partition?.number === partition) ??
      (partition === undefined ? 'that disk has partitions, and nothing else is on it' : NO_DISK)
    );
  }

  /** Disks that are said to be on NVMe controllers; those of a VM whose disks name none may be, too. */
  private get onNvme(): GuestDisk[] {
    return this.disks.filter(({ controller }) => controller?.kind === 'nvme');
  }

  /** Disks that the guest has letters for: all but those on NVMe. */
  private get lettered(): GuestDisk[] {
    const { onNvme } = this;
    return this.disks.filter((disk) => !onNvme.includes(disk));
  }

  private diskAt(place: Place): GuestDisk | 'gone' | undefined {
    switch (place.by) {
      case 'letter':
        return this.lettersHold ? (this.lettered[place.index] ?? 'gone') : undefined;
      case 'slot':
        // Which controller a PCI address is of cannot be told from outside of the guest.
        return this.slotsHold && onOneController(this.disks)
          ? (this.disks.find((one) => one.slot === place.slot) ?? 'gone')
          : undefined;
      case 'nvme': {
        if (this.onNvme.length > 0) {
          const buses = [...new Set(this.onNvme.map(({ controller }) => controller?.bus))];
          const ofController = this.onNvme.filter(
            ({ controller }) => controller?.bus === buses[place.controller],
          );
          return ofController[place.namespace - 1] ?? 'gone';
        }
        // VMware has several disks on a controller, others one on each: certain is the first controller, and the
        // last disk where there are as many controllers as disks.
        if (place.controller === 0) return this.disks[place.namespace - 1] ?? 'gone';
        if (place.controller >= this.disks.length) return 'gone';
        return place.controller === this.disks.length - 1 && place.namespace === 1
          ? this.disks[place.controller]
          : undefined;
      }
      case 'other':
        return undefined;
    }
  }

  /** What is left when all that the guest has other names for is put aside, if that is one thing. */
  private onlyFit(partition: number | undefined, type: string): DiskContent | undefined {
    const candidates = this.contents.filter(
      (one) =>
        one.partition?.number === partition &&
        one.identity.type !== undefined &&
        type !== 'auto' &&
        fits(one, type) &&
        !this.claimed.has(one),
    );
    return candidates.length === 1 && this.disks.every((disk) => disk.known) ? candidates[0] : undefined;
  }

  private tagged(tag: Tag, value: string): DiskContent[] {
    const lower = value.toLowerCase();
    return this.contents.filter(({ identity, partition }) => {
      if (tag === 'UUID') return identity.uuid?.toLowerCase() === lower;
      if (tag === 'LABEL') return identity.label === value;
      if (tag === 'PARTUUID') return partition?.partitionUuid === lower;
      return partition?.partitionLabel === value;
    });
  }

  /** Whether nothing on the VM's disks is hidden from a search for a tag. */
  private seesAll(tag: Tag): boolean {
    if (!this.disks.every((disk) => disk.known)) return false;
    return tag.startsWith('PART') || !this.contents.some((one) => CONTAINER.test(one.identity.type ?? ''));
  }

  /** Whether every volume of LVM on the VM's disks is known. */
  private seesAllVolumes(): boolean {
    return (
      this.disks.every((disk) => disk.known) &&
      this.contents.every(
        ({ identity, physicalVolume }) =>
          !CONTAINER.test(identity.type ?? '') ||
          (identity.type === 'LVM2_member' && physicalVolume?.group !== undefined),
      )
    );
  }

  private lastingNameOf(content: DiskContent): { name: string; link: string } | undefined {
    const { identity, partition } = content;
    const { uuid } = identity;
    if (
      uuid !== undefined &&
      // What is on a volume of LVM is none of the disks' own contents.
      (SHARED_UUID.test(identity.type ?? '') || this.tagged('UUID', uuid).every((one) => one === content))
    )
      return { name: `UUID=${uuid}`, link: `/dev/disk/by-uuid/${uuid}` };
    const partitionUuid = partition?.partitionUuid;
    if (partitionUuid !== undefined && this.tagged('PARTUUID', partitionUuid).length === 1)
      return { name: `PARTUUID=${partitionUuid}`, link: `/dev/disk/by-partuuid/${partitionUuid}` };
    return undefined;
  }

  private twinOf(content: DiskContent | undefined): string {
    return content?.identity.uuid === undefined
      ? 'nothing with a UUID is on it'
      : `another file system of the VM has its UUID ${content.identity.uuid}, too: it cannot be told apart on EC2`;
  }
}

type PlaceName = Extract<DiskName, { kind: 'place' | 'hardware' }>;

const NO_DRIVE = 'EC2 has no such drive';
const NO_DISK = 'the VM has no such disk or partition';
const UNTOLD = 'which of the disks that is at the primary site cannot be told from outside of the guest';

/** Whether content may be what fstab calls by this type. */
function fits({ identity }: DiskContent, type: string): boolean {
  if (type === 'auto' || type === 'none' || identity.type === undefined) return true;
  const same = (one: string) => SAME_TYPE[one] ?? one;
  return type.split(',').some((one) => same(one) === same(identity.type ?? ''));
}
