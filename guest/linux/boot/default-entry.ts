import { entriesOf, type BootEntry, type BootMenu, type BootMenuItem } from './boot-entry';

/**
 * The entry that GRUB boots when nobody chooses, as far as its grub.cfg tells by reading alone.
 * @param text the grub.cfg
 * @param environment values of grubenv
 * @returns undefined where the menu has no entry of Linux
 */
export function defaultEntry(
  text: string,
  environment: Map<string, string>,
  menu: BootMenuItem[],
): BootEntry | undefined {
  // A choice for the next start alone ("grub-reboot") is still to come in a machine that was backed up while it ran.
  const once = /\$\{?next_entry\b/.test(text) ? environment.get('next_entry') : undefined;
  for (const choice of [once, lastingChoice(text, environment), '0']) {
    const found = choice ? chosen(choice, menu) : undefined;
    if (found !== undefined) return found;
  }
  return entriesOf(menu)[0];
}

/** What the last `set default=` says that is not for one start only. */
function lastingChoice(text: string, environment: Map<string, string>): string | undefined {
  const values = [...text.matchAll(/^\s*set\s+default=(?:"([^"\n]*)"|'([^'\n]*)'|(\S*))\s*$/gm)]
    .map((match) => match[1] ?? match[2] ?? match[3] ?? '')
    .filter((value) => !/next_entry/.test(value));
  const value = values.at(-1);
  const variable = /^\$\{?([A-Za-z_]+)\}?$/.exec(value ?? '')?.[1];
  return variable === undefined ? value : environment.get(variable);
}

/** `2`, `1>0`, an id or a title, each of a level. */
function chosen(choice: string, menu: BootMenuItem[]): BootEntry | undefined {
  let items = menu;
  let item: BootMenuItem | undefined;
  for (const part of choice.split(/(?<!>)>(?!>)/)) {
    const name = part.trim().replaceAll('>>', '>');
    item = /^\d+$/.test(name)
      ? items[Number(name)]
      : items.find((one) => one.id === name || one.title === name);
    items = isMenu(item) ? item.items : [];
  }
  // A menu that is chosen boots the first of its own.
  while (isMenu(item)) item = item.items[0];
  return item !== undefined && 'kernel' in item ? item : undefined;
}

function isMenu(item: BootMenuItem | undefined): item is BootMenu {
  return item !== undefined && 'items' in item;
}
