import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { type CheckedImage } from './checked-image';
import { DiskImageError } from './image-error';
import { checkQcow2 } from './qcow2-check';
import { type DiskImage } from './vm-files';
import { checkVmdk } from './vmdk-check';

/**
 * Looks at an image before QEMU does. QEMU follows what an image's bytes name: files below it, files with its data,
 * the parts of a VMDK. An image comes from wherever its VM comes from, so that such a name could make a backup read,
 * or a failback write, any file of this host. Here an image may consist of plain files beside it, and nothing else.
 */

/**
 * @throws DiskImageError when the image is not a disk of `sizeBytes` in the format that the VM's description says, or
 * reaches out of the VM's directory
 */
export async function checkImage(image: DiskImage, sizeBytes: number): Promise<CheckedImage> {
  const file = await openPlainFile(image.path);
  try {
    switch (image.format) {
      case 'raw': {
        const { size } = await file.stat();
        if (size !== sizeBytes)
          throw new DiskImageError(image.path, `it has ${size} bytes, and the disk ${sizeBytes}`);
        return { readOnly: false, files: [image.path], rawFile: image.path };
      }
      case 'qcow2':
        await checkQcow2(file, image.path, sizeBytes);
        return { readOnly: false, files: [image.path] };
      case 'vmdk':
        return await checkVmdk(file, image.path, sizeBytes, openPlainFile);
    }
  } finally {
    await file.close();
  }
}

/** Opens a file for reading; no link, device or pipe. */
async function openPlainFile(path: string): Promise<FileHandle> {
  let file: FileHandle;
  try {
    // Without O_NONBLOCK, a pipe would hold this process up.
    file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ELOOP') throw new DiskImageError(path, 'it is a symbolic link');
    if (code === 'ENOENT') throw new DiskImageError(path, 'there is no such file');
    throw error;
  }
  if (!(await file.stat()).isFile()) {
    await file.close();
    throw new DiskImageError(path, 'it is no plain file');
  }
  return file;
}
