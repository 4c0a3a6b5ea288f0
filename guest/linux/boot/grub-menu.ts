import { type BootEntry, type BootMenu, type BootMenuItem, guestPathOf, wordsOf } from './boot-entry';

/** Menus in menus; grub-mkconfig makes two levels. */
const MAX_DEPTH = 8;

interface Frame {
  /** What closing it adds to the menu around it. */
  item?: BootMenuItem & Partial<BootEntry>;
  items: BootMenuItem[];
}

/** GRUB's menu as its grub.cfg writes it, line by line as grub-mkconfig does; what only a script's run would tell is not known. */
export function parseGrubMenu(text: string, source: string): BootMenuItem[] {
  const top: Frame = { items: [] };
  const stack = [top];
  for (const line of text.split('\n')) {
    const frame = stack.at(-1) ?? top;
    const opened = /^\s*(menuentry|submenu)\s+(.*)\{\s*$/.exec(line);
    if (opened !== null) {
      const named = namesOf(opened[2] ?? '');
      stack.push({ item: named, items: [] });
      if (stack.length > MAX_DEPTH) return [];
      if (opened[1] === 'submenu')
        Object.assign(named, { items: stack.at(-1)?.items } satisfies Partial<BootMenu>);
    } else if (/^\s*function\s.*\{\s*$/.test(line)) {
      stack.push({ items: [] });
    } else if (/^\s*\}\s*$/.test(line) && stack.length > 1) {
      stack.pop();
      if (frame.item !== undefined) stack.at(-1)?.items.push(frame.item);
    } else if (frame.item !== undefined) readCommand(line, frame.item, source);
  }
  return top.items;
}

function readCommand(line: string, item: BootMenuItem & Partial<BootEntry>, source: string): void {
  const [command = '', ...words] = wordsOf(line);
  if (/^linux(16|efi)?$/.test(command) && words[0] !== undefined) {
    Object.assign(item, {
      kernel: guestPathOf(words[0]),
      initrds: item.initrds ?? [],
      source,
      line: line.trim(),
    });
  } else if (/^initrd(16|efi)?$/.test(command)) {
    item.initrds = words.filter((word) => !word.startsWith('$')).map(guestPathOf);
  }
}

/** Title and id of `'Debian' --class debian $menuentry_id_option 'gnulinux-simple-…'`. */
function namesOf(rest: string): { id: string; title: string } {
  const quoted = /^(?:'((?:[^']|'\\'')*)'|"([^"]*)"|(\S+))/.exec(rest);
  const title = (quoted?.[1] ?? quoted?.[2] ?? quoted?.[3] ?? '').replaceAll("'\\''", "'");
  const id = /(?:\$\{?menuentry_id_option\}?|--id)[ =]\s*['"]?([^\s'"]+)/.exec(rest)?.[1] ?? title;
  return { id, title };
}
