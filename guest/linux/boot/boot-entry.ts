/** What a boot loader offers to boot. Paths are those of the guest. */
export interface BootEntry {
  /** By which a default may name it, besides its title. */
  id: string;
  title: string;
  kernel: string;
  initrds: string[];
  /** File that it comes from. */
  source: string;
  /** The line of that file with its kernel. */
  line: string;
}

/** A menu of GRUB: entries, and menus in the menu. */
export interface BootMenu {
  id: string;
  title: string;
  items: BootMenuItem[];
}
export type BootMenuItem = BootEntry | BootMenu | OtherMenuItem;
/** An item that boots no Linux: the firmware's settings, Windows. */
export interface OtherMenuItem {
  id: string;
  title: string;
}

/** All entries, in the order of the menu. */
export function entriesOf(items: BootMenuItem[]): BootEntry[] {
  return items.flatMap((item) => ('items' in item ? entriesOf(item.items) : 'kernel' in item ? [item] : []));
}

/**
 * A file as GRUB names it, as the guest does: GRUB's root is the file system with /boot, which may be one of its own
 * (`/vmlinuz-…`), or has the guest's root below a subvolume (`/@/boot/vmlinuz-…`).
 */
export function guestPathOf(grubPath: string): string {
  const path = grubPath.replace(/^\([^)]*\)/, '');
  const at = path.indexOf('/boot/');
  return at === -1 ? `/boot${path.startsWith('/') ? '' : '/'}${path}` : path.slice(at);
}

/** Arguments of a `linux` or `initrd` line, without quotes. Quotes with blanks in them do not occur there. */
export function wordsOf(line: string): string[] {
  return line
    .trim()
    .split(/\s+/)
    .map((word) => word.replace(/^(["'])(.*)\1$/, '$2'));
}
