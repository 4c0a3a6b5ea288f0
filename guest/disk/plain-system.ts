import { expectSound, replayJournal } from '../files/check';
import { type DebugfsProcesses } from '../files/debugfs-session';
import { withGuest } from '../files/open-guest';
import { type GuestSystem } from '../guest-system';
import { type FstabEntry } from '../linux/disks/fstab';
import { learnDisks } from '../linux/disks/learn-disks';
import { GuestNotAdaptableError, type OtherDisks } from '../port';
import { DeviceNames } from './device-names';
import { type DiskContent } from './guest-disks';
import { type GuestLayout } from './layout';
import { mayHoldLinux, NotPlainError } from './not-plain';
import { isPlain, type PlainSource, plainSource } from './plain-source';
import { openSystem, systemMounts } from './system-mounts';

/**
 * A guest's system on plain ext2, ext3 and ext4 partitions.
 * @throws NotPlainError where a part of it may be on something else
 * @throws GuestNotAdaptableError where a part of it is not to be found
 */
export async function openPlainSystem(
  diskPath: string,
  others: OtherDisks,
  layout: GuestLayout,
  debugfs: DebugfsProcesses,
): Promise<GuestSystem> {
  const names = await DeviceNames.read(diskPath, others);
  const root = names.contents.find(
    (one) => one.diskPath === diskPath && one.partition?.number === layout.root.number,
  );
  if (root === undefined) throw new Error(`Partition ${layout.root.number} of ${diskPath} has gone.`);
  await withGuest(
    () => openSystem([{ mountPoint: '/', source: plainSource(root, debugfs) }], false),
    (files) => learnDisks(files, root, names),
  );
  const sources = new Map<string, PlainSource>();
  const source = (content: DiskContent): PlainSource => {
    const found = plainSource(content, debugfs);
    sources.set(found.key, found);
    return found;
  };
  const system = await systemMounts(source(root), async (entry) =>
    source(await contentOf(entry, names, debugfs)),
  );
  return {
    names,
    warnings: [],
    open: () => openSystem(system, true),
    openReadOnly: () => openSystem(system, false),
    async replay(everything) {
      for (const { diskPath, offset } of sources.values()) await replayJournal(diskPath, offset, everything);
    },
    async finish() {
      for (const { diskPath, offset } of sources.values()) await expectSound(diskPath, offset);
    },
    abandon: () => Promise.resolve(),
  };
}

async function contentOf(
  { device, mountPoint, type }: FstabEntry,
  names: DeviceNames,
  debugfs: DebugfsProcesses,
): Promise<DiskContent> {
  const content = names.find(device) ?? (await contentByFiles(mountPoint, names, debugfs));
  if (content !== undefined && isPlain(content.identity.type)) return content;
  const message =
    `The guest mounts ${mountPoint} from ${device} (${content?.identity.type ?? type}), and ` +
    (content === undefined
      ? `that is on none of the VM's disks that can be read. ${mountPoint} is needed for the boot: see that the disk is backed up, and name it by UUID= in the guest's /etc/fstab.`
      : 'that is no file system that can be written from outside.');
  const isFurther = content === undefined ? names.contents.some(isNotPlain) : isNotPlain(content);
  throw isFurther ? new NotPlainError(message) : new GuestNotAdaptableError(message);
}

function isNotPlain({ identity }: DiskContent): boolean {
  return mayHoldLinux(identity.type) && !isPlain(identity.type);
}

/** What tells a file system that is mounted at one of the system's directories, where its name does not. */
const SIGNS: Record<string, RegExp> = {
  '/boot': /^vmlinu[xz]-/,
  '/boot/grub': /^grub\.cfg$/,
  '/var': /^(spool|cache)$/,
  '/usr': /^(sbin|share)$/,
};

async function contentByFiles(
  mountPoint: string,
  known: DeviceNames,
  debugfs: DebugfsProcesses,
): Promise<DiskContent | undefined> {
  const sign = SIGNS[mountPoint];
  const fitting: DiskContent[] = [];
  for (const content of sign === undefined ? [] : known.unclaimed) {
    if (!isPlain(content.identity.type)) continue;
    const names = await withGuest(
      () => openSystem([{ mountPoint: '/', source: plainSource(content, debugfs) }], false),
      (files) => files.list('/'),
    );
    if (names.some((name) => sign?.test(name))) fitting.push(content);
  }
  return fitting.length === 1 ? fitting[0] : undefined;
}
