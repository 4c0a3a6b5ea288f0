import { type GuestLayout } from './layout';

const EFI_SYSTEM = { gpt: 'C12A7328-F81F-11D2-BA4B-00A0C93EC93B', dos: 'ef' };
/** Where GRUB keeps its core on a GPT disk that a BIOS boots. */
const BIOS_BOOT = '21686148-6449-6E6F-744E-656564454649';

/** The EFI system partition of a disk that only UEFI boots; undefined where a BIOS boots it. */
export function efiSystemPartition({
  table,
  partitions,
}: Pick<GuestLayout, 'table' | 'partitions'>): GuestLayout['partitions'][number] | undefined {
  if (table.label === 'dos' || partitions.some((one) => one.type === BIOS_BOOT)) return undefined;
  return partitions.find((one) => one.type === EFI_SYSTEM[table.label]);
}
