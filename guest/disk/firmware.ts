import { runTool } from '../../host/run-tool';
import { GuestNotAdaptableError } from '../port';
import { type GuestLayout } from './layout';

const EFI_SYSTEM = { gpt: 'C12A7328-F81F-11D2-BA4B-00A0C93EC93B', dos: 'ef' };
/** Where GRUB keeps its core on a GPT disk that a BIOS boots. */
const BIOS_BOOT = '21686148-6449-6E6F-744E-656564454649';
/** The loader that UEFI starts without an entry in NVRAM, which an instance does not have. */
const FALLBACK_LOADER = '/EFI/BOOT/BOOTX64.EFI';
const MDIR_SECONDS = 30;

/** The EFI system partition of a disk that only UEFI boots; undefined where a BIOS boots it. */
export function efiSystemPartition({
  table,
  partitions,
}: Pick<GuestLayout, 'table' | 'partitions'>): GuestLayout['partitions'][number] | undefined {
  if (table.label === 'dos' || partitions.some((one) => one.type === BIOS_BOOT)) return undefined;
  return partitions.find((one) => one.type === EFI_SYSTEM[table.label]);
}

/**
 * A disk that only UEFI boots must have the fallback loader.
 * @throws GuestNotAdaptableError where it has none
 */
export async function expectBootableFirmware(
  diskPath: string,
  layout: Pick<GuestLayout, 'table' | 'partitions'>,
): Promise<void> {
  const esp = efiSystemPartition(layout);
  if (esp === undefined) return;
  const { exitCode } = await runTool(
    'mdir',
    ['-b', '-i', `${diskPath}@@${esp.offset}`, `::${FALLBACK_LOADER}`],
    {
      timeoutSeconds: MDIR_SECONDS,
      // The guest's FAT may have been made on a controller with another geometry.
      environment: { MTOOLS_SKIP_CHECK: '1' },
    },
  );
  if (exitCode !== 0) {
    throw new GuestNotAdaptableError(
      `The guest boots by UEFI and its EFI system partition has no ${FALLBACK_LOADER.replaceAll('/', '\\')}: an instance does not know ` +
        'the boot entry that its firmware had. Run "grub-install --force-extra-removable" in the guest and back it up again.',
    );
  }
}
