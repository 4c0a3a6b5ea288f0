/** What the check of an image (image-check.ts) found out. */
export interface CheckedImage {
  /** Compressed (streamOptimized): QEMU reads it, and cannot write into what is there. */
  readOnly: boolean;
  /** Paths of all files that hold the disk. */
  files: string[];
  /** The one file that is the disk, byte for byte and no longer; absent where there is none. */
  rawFile?: string;
}
