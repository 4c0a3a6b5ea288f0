import { type VmConfiguration } from '../hypervisor/port';

/** A finished backup: the object whose existence makes a recovery point. */
export interface BackupManifest {
  version: 1;
  vm: string;
  backupId: string;
  /** ISO 8601, UTC: the instant that the disks are of. */
  takenAt: string;
  consistency: 'crash' | 'powered-off';
  configuration: VmConfiguration;
  /** The backup whose blocks this one builds on; absent where nothing was there to build on. */
  previous?: string;
  disks: BackedUpDisk[];
}

export interface BackedUpDisk {
  key: string;
  sizeBytes: number;
  /** Key of the block map object, and the SHA-256 (lower-case hex) of its bytes. */
  blockMap: string;
  blockMapSha256: string;
  /** Non-zero blocks in the whole disk. */
  dataBlocks: number;
  /** Blocks that this backup stored, and the bytes they take. */
  storedBlocks: number;
  storedBytes: number;
}
