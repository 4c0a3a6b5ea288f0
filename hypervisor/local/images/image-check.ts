import { type CheckedImage } from './checked-image';
import { DiskImageError } from './image-error';
import { refuseOlderState } from './open-snapshot';
import { openPlainFile } from './plain-file';
import { checkQcow2 } from './qcow2-check';
import { type DiskImage } from '../vm-files';
import { type CheckedVmdk, checkVmdk } from './vmdk-check';

/**
 * Looks at an image before QEMU does. QEMU follows what an image's bytes name: files below it, files with its data,
 * the parts of a VMDK. An image comes from wherever its VM comes from, so that such a name could make a backup read,
 * or a failback write, any file of this host. Here an image may consist of plain files beside it, and nothing else.
 */

/**
 * @throws DiskImageError when the image is not a disk of `sizeBytes` in the format that the VM's description says,
 * reaches out of the VM's directory, or is what the disk was before a snapshot that is still open
 */
export async function checkImage(image: DiskImage, sizeBytes: number): Promise<CheckedImage> {
  const { contentId, ...checked } = await checkFormat(image, sizeBytes);
  await refuseOlderState(image.path, checked.files, contentId);
  return checked;
}

async function checkFormat({ path, format }: DiskImage, sizeBytes: number): Promise<CheckedVmdk> {
  const file = await openPlainFile(path);
  try {
    switch (format) {
      case 'raw': {
        const { size } = await file.stat();
        if (size !== sizeBytes)
          throw new DiskImageError(
            path,
            `it has ${size} bytes, and the disk ${sizeBytes}`,
            'Correct sizeBytes of the disk in vm.json, or copy the image again',
          );
        return { files: [path], rawFile: path };
      }
      case 'qcow2':
        await checkQcow2(file, path, sizeBytes);
        return { files: [path] };
      case 'vmdk':
        return await checkVmdk(file, path, sizeBytes);
    }
  } finally {
    await file.close();
  }
}
