import { hash } from 'node:crypto';
import { type Consistency, type VmConfiguration } from '../../hypervisor/port';

/** A finished backup: the object whose existence makes a recovery point. */
export interface BackupManifest {
  version: 1;
  vm: string;
  backupId: string;
  /** ISO 8601, UTC: the instant that the disks are of. */
  takenAt: string;
  consistency: Consistency;
  /** What an operator should know of the snapshot, one sentence each; absent where there is nothing. */
  notes?: string[];
  /** Keys of disks that the plan leaves out; absent where it leaves none out. */
  excludedDisks?: string[];
  configuration: VmConfiguration;
  /** The backup whose blocks this one builds on; absent where nothing was there to build on. */
  previous?: string;
  disks: BackedUpDisk[];
  /** What trying its adaptation to the recovery site came to; absent where it was not tried. */
  guest?: GuestRehearsal;
}

/** An adaptation to the recovery site that was made on a backup's guest, and thrown away. */
export interface GuestRehearsal {
  /** ISO 8601, UTC. Of an earlier backup's guest where that was young enough. */
  rehearsedAt: string;
  /** `unknown`: it could not be tried. */
  outcome: 'adaptable' | 'not adaptable' | 'unknown';
  /** The guest's system, and the kernels that were adapted. */
  family?: string;
  kernels?: string[];
  /** What is wrong, and what would help; absent of what is adaptable. */
  problem?: string;
  /** What an operator should know of the guest although it does not keep it from running. */
  warnings: string[];
}

export interface BackedUpDisk {
  key: string;
  sizeBytes: number;
  /**
   * The hypervisor's mark of the instant in its tracking of changes, which only its adapter can read. Manifests before
   * there were markers have none, nor have disks that are not tracked.
   */
  changeMarker?: string;
  /** Key of the block map object, and the SHA-256 (lower-case hex) of its bytes. */
  blockMap: string;
  blockMapSha256: string;
  /** Non-zero blocks in the whole disk. */
  dataBlocks: number;
  /** Blocks that this backup stored, and the bytes they take. */
  storedBlocks: number;
  storedBytes: number;
}

/** A manifest's bytes, as they are stored: with the SHA-256 of themselves without it. */
export function sealManifest(manifest: object): Buffer {
  const sha256 = hash('sha256', JSON.stringify(manifest, null, 2));
  return Buffer.from(JSON.stringify({ ...manifest, sha256 }, null, 2));
}

/** Whether not a bit of what {@link sealManifest} made has changed. @param body JSON of an object */
export function isSealed(body: Buffer): boolean {
  const { sha256: _, ...manifest } = JSON.parse(body.toString('utf8')) as { sha256?: unknown };
  return body.equals(sealManifest(manifest));
}
