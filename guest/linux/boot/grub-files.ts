import { type GuestFiles } from '../../files/port';
import { parseGrubenv } from './grubenv';

/** Where GRUB's configuration is: Debian and Ubuntu, all others; on UEFI machines RHEL up to 8 has it on the EFI system partition. */
const DIRECTORIES = ['/boot/grub', '/boot/grub2'];
const EFI = '/boot/efi/EFI';
const MAX_TEXT_BYTES = 1024 * 1024;

/** The guest's grub.cfg files, each once. */
export async function grubConfigs(files: GuestFiles): Promise<string[]> {
  return existing(files, 'grub.cfg');
}

export async function grubenvFiles(files: GuestFiles): Promise<string[]> {
  return existing(files, 'grubenv');
}

export async function grubEnvironment(files: GuestFiles): Promise<Map<string, string>> {
  const values = new Map<string, string>();
  for (const path of await grubenvFiles(files)) {
    for (const [name, value] of parseGrubenv((await readGrubText(files, path)) ?? ''))
      values.set(name, value);
  }
  return values;
}

export async function readGrubText(files: GuestFiles, path: string): Promise<string | undefined> {
  return (await files.realpath(path)) === undefined
    ? undefined
    : (await files.read(path, MAX_TEXT_BYTES)).toString('latin1');
}

async function existing(files: GuestFiles, name: string): Promise<string[]> {
  const found: string[] = [];
  const real = new Set<string>();
  const vendors = (await files.list(EFI)).filter((one) => /^[A-Za-z0-9._-]{1,100}$/.test(one));
  for (const path of [...DIRECTORIES, ...vendors.map((vendor) => `${EFI}/${vendor}`)].map(
    (one) => `${one}/${name}`,
  )) {
    const at = await files.realpath(path);
    if (at === undefined || real.has(at)) continue;
    real.add(at);
    found.push(path);
  }
  return found;
}
