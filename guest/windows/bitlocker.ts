import { open } from 'node:fs/promises';
import { GuestNotAdaptableError } from '../port';

/** At this offset of a volume that BitLocker encrypts stands its signature, in the place of "NTFS". */
const SIGNATURE_OFFSET = 3;
const SIGNATURE = '-FVE-FS-';

/** Whether BitLocker encrypts the volume at an offset of a disk: nobody without its key can prepare it. */
export async function isBitLocker(diskPath: string, offset: number): Promise<boolean> {
  const disk = await open(diskPath);
  try {
    const { buffer } = await disk.read(
      Buffer.alloc(SIGNATURE.length),
      0,
      SIGNATURE.length,
      offset + SIGNATURE_OFFSET,
    );
    return buffer.toString('latin1') === SIGNATURE;
  } finally {
    await disk.close();
  }
}

export function encryptedByBitLocker(partition: number): GuestNotAdaptableError {
  return new GuestNotAdaptableError(
    `Partition ${partition} of the boot disk is encrypted by BitLocker; an encrypted guest cannot be prepared from outside. ` +
      'Run "manage-bde -off C:" in the guest, wait until it is decrypted, and back it up again.',
  );
}
