import { type GuestFiles } from '../../files/port';
import { MAX_INITRAMFS_BYTES, withHostFile } from '../changes/apply';
import { InitramfsImage } from './image';
import { MAKERS } from './makers';

/**
 * Reads an initramfs of the guest.
 * @returns its length, too
 * @throws ArchiveDamagedError where a kernel could not unpack it
 * @throws GuestFileError where there is none
 */
export async function readImage(
  files: GuestFiles,
  path: string,
): Promise<{ image: InitramfsImage; bytes: number }> {
  const real = (await files.realpath(path)) ?? path;
  const bytes = (await files.stat(real))?.size ?? 0;
  const image = await withHostFile(async (hostPath) => {
    await files.download(real, hostPath, MAX_INITRAMFS_BYTES);
    return InitramfsImage.read(hostPath, (name) => MAKERS.some((maker) => maker.wants(name)));
  });
  return { image, bytes };
}
