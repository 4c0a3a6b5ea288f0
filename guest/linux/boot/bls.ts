import { type GuestFiles } from '../../files/port';
import { guestPathOf, wordsOf, type BootEntry } from './boot-entry';
import { compareVersions } from './version-order';

/** Entries of the Boot Loader Specification, type 1 (uapi-group.org), where GRUB's blscfg looks for them. */
export const BLS_DIRECTORY = '/boot/loader/entries';
const FILE_NAME = /^[A-Za-z0-9][A-Za-z0-9._+~@-]{0,200}\.conf$/;
const MAX_ENTRY_BYTES = 64 * 1024;
const MAX_ENTRIES = 200;

export interface BlsEntry extends BootEntry {
  options: string;
}

/** Entries as GRUB sorts them, newest first (grub2's blscfg.c: by the version in the file's name). */
export async function readBlsEntries(files: GuestFiles): Promise<BlsEntry[]> {
  const names = (await files.list(BLS_DIRECTORY))
    .filter((name) => FILE_NAME.test(name))
    .slice(0, MAX_ENTRIES);
  const entries: BlsEntry[] = [];
  for (const name of names) {
    const source = `${BLS_DIRECTORY}/${name}`;
    if ((await files.stat(source))?.type !== 'file') continue;
    const entry = parseBlsEntry((await files.read(source, MAX_ENTRY_BYTES)).toString('latin1'), source);
    if (entry !== undefined) entries.push(entry);
  }
  return entries.sort((a, b) => compareVersions(b.id, a.id) || (a.id < b.id ? 1 : -1));
}

/** @returns undefined where it boots no Linux kernel by itself. Exported for tests. */
export function parseBlsEntry(text: string, source: string): BlsEntry | undefined {
  const values = new Map<string, string[]>();
  for (const line of text.split('\n')) {
    const match = /^([a-z][a-z_-]*)\s+(.*?)\s*$/.exec(line);
    if (match?.[1] !== undefined) values.set(match[1], [...(values.get(match[1]) ?? []), match[2] ?? '']);
  }
  const kernel = values.get('linux')?.at(-1);
  if (kernel === undefined) return undefined;
  return {
    id: source.slice(source.lastIndexOf('/') + 1, -'.conf'.length),
    title: values.get('title')?.at(-1) ?? '',
    kernel: guestPathOf(kernel),
    initrds: (values.get('initrd') ?? [])
      .flatMap(wordsOf)
      .filter((word) => word !== '' && !word.startsWith('$'))
      .map(guestPathOf),
    options: (values.get('options') ?? []).join(' '),
    source,
    line: kernel,
  };
}
