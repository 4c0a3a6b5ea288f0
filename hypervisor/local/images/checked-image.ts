/** What the check of an image (image-check.ts) found out. */
export interface CheckedImage {
  /** Why QEMU reads it and cannot, or must not, write into it; absent where it can be written. */
  readOnly?: ReadOnly;
  /** Paths of all files that hold the disk. */
  files: string[];
  /** The one file that is the disk, byte for byte and no longer; absent where there is none. */
  rawFile?: string;
  /** Of a VMDK with a descriptor of its own: its parts in their order. */
  parts?: ImagePart[];
}

/** A reason and what to do, as for a DiskImageError. */
export interface ReadOnly {
  reason: string;
  advice: string;
}

/** A part of a disk. `ZERO` has no file, and reads as zeros. */
export type ImagePart =
  | { type: 'FLAT' | 'SPARSE'; sectors: number; path: string; offsetSectors: number }
  | { type: 'ZERO'; sectors: number };
