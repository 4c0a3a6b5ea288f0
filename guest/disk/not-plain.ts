import { GuestNotAdaptableError } from '../port';

/**
 * The guest's system is not on plain ext2, ext3 or ext4 partitions alone, as far as can be seen from outside: the appliance
 * may open it. Where that cannot, either, the message stands.
 */
export class NotPlainError extends GuestNotAdaptableError {
  constructor(message: string) {
    super(message);
    this.name = 'NotPlainError';
  }
}

/** What the appliance may find a Linux on: other file systems, and what volumes are made of. */
export function mayHoldLinux(type: string | undefined): boolean {
  return type !== undefined && /^(ext[234]|xfs|btrfs|LVM2_member)$/.test(type);
}

/** What the appliance may find any system on. */
export function mayHoldSystem(type: string | undefined): boolean {
  return type === 'ntfs' || mayHoldLinux(type);
}
