/** A disk's image is not what the VM's description promises, or names files that it must not. */
export class DiskImageError extends Error {
  constructor(
    readonly path: string,
    reason: string,
  ) {
    super(`The disk image ${path} cannot be used: ${reason}.`);
    this.name = 'DiskImageError';
  }
}
