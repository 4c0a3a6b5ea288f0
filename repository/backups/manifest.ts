import { hash } from 'node:crypto';
import { type VmConfiguration } from '../../hypervisor/port';

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
