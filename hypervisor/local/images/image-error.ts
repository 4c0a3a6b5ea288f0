/**
 * A disk's image is not what the VM's description promises, is not the newest state of its disk, or names files that it
 * must not. The message is a sentence of what is, and one of what to do.
 */
export class DiskImageError extends Error {
  /** @param advice what to do, without the full stop */
  constructor(
    readonly path: string,
    reason: string,
    advice: string,
  ) {
    super(`The disk image ${path} cannot be used: ${reason}. ${advice}.`);
    this.name = 'DiskImageError';
  }
}

/** What to do about bytes that are not, or no more, what they should be. */
export const COPY_AGAIN = 'Copy the whole disk again from where its VM comes from, with the VM powered off';

/** What to do about an image in a form that is not read here. */
export const CONVERT =
  'Make one whole image of it (in vSphere by cloning the VM, elsewhere by "qemu-img convert") and name that in vm.json';
