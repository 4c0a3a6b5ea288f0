import { type BackupManifest } from '../backups/manifest';
import { type Pin } from '../backups/pins';
import { type BackupState } from '../backups/retirement';
import { type ObjectStore } from '../objects/object-store';
import { type RetentionPolicy } from './retention';

/** What a collection is asked for, what it sees before it decides, and by which times it goes. */

const DAY_SECONDS = 86_400;
/**
 * Seconds from a backup's end to the deletion of its objects. Pins protect whoever uses a backup; this is for readers
 * without one (a check, an older release), and for people who see that they have lowered the wrong number.
 */
export const GRACE_SECONDS = DAY_SECONDS;
/**
 * Seconds without a sign of life after which an unfinished backup, or a restore's pin, is given up: twice as long as an
 * activity that copies may take in one go (workflows/run/profiles.ts).
 */
export const ABANDONED_AFTER_SECONDS = 14 * DAY_SECONDS;

/** A collection as it is asked for. */
export interface Collection {
  store: ObjectStore;
  vm: string;
  /** What any of them keeps is kept. */
  policies: readonly RetentionPolicy[];
  /** Ids of backups that something outside of the repository refers to: DR copies and instances. */
  heldBackups(): Promise<ReadonlySet<string>>;
  /** Called before anything is retired or deleted; throws where that is not allowed any more. */
  beforeChange(): Promise<void>;
  /** Whether to sweep now, or once a day. */
  sweep: 'now' | 'when due';
  /** Changes nothing, and tells what would be done. */
  dryRun: boolean;
  signal: AbortSignal;
}

/** What the collector knows when it decides. */
export interface Sight {
  /** The store's time. */
  now: Date;
  states: Map<string, BackupState>;
  /** Backups in use. */
  manifests: Map<string, BackupManifest>;
  pins: Pin[];
  /** Ids of backups that a run, a DR copy or an instance needs. */
  needed: ReadonlySet<string>;
}

/**
 * Whether a pin protects: a backup's for as long as it is unfinished and not given up; a restore's until it has been
 * declared over, which its restore sees, and which counts from the next collection on.
 */
export function protects({ user, backups }: Pin, states: Map<string, BackupState>): boolean {
  return 'runId' in user ? backups.length > 0 : states.get(user.backupId) === undefined;
}
