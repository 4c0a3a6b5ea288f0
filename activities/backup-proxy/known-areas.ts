import { randomBytes } from 'node:crypto';
import { Context } from '@temporalio/activity';
import { type Hypervisor } from '../../hypervisor/port';
import { type BackupManifest } from '../../repository/backups/manifest';
import { type BlockMap } from '../../repository/maps/block-map';
import { auditUnchanged } from '../../repository/new-backup/audit';
import { type AuditFindings, type BackupJournal } from '../../repository/new-backup/backup-journal';
import { type DiskSource } from '../../repository/new-backup/backup-source';
import { type KnownAreas } from '../../repository/new-backup/disk-areas';

interface DiskOfSnapshot {
  hypervisor: Hypervisor;
  vm: string;
  /** What the hypervisor calls the VM. */
  primaryName: string;
  backupId: string;
  diskKey: string;
  sizeBytes: number;
  source: DiskSource;
  signal: AbortSignal;
}

/** The backup that a disk's backup builds on, and the disk's map in it. */
interface BuiltOn {
  manifest: BackupManifest;
  map: BlockMap;
}

/**
 * What of the disk need not be read: what the hypervisor says, after an audit of it. Undefined where every block has to be
 * compared: where the hypervisor cannot tell for certain, and where it was caught with a wrong answer, which the journal
 * keeps, so that a backup that is resumed does not believe it again.
 */
export async function knownAreas(
  disk: DiskOfSnapshot,
  journal: BackupJournal,
  builtOn: BuiltOn | undefined,
): Promise<KnownAreas | undefined> {
  if (journal.audit?.mismatch !== undefined) return undefined;
  const known = await toldAreas(disk, builtOn?.manifest);
  // One that is under way without an audit was begun before there were any; what it left out is decided.
  if (known === undefined || journal.audit !== undefined || journal.isUnderWay) return known;

  const { log } = Context.current();
  const findings = await auditUnchanged({
    ...disk,
    known,
    previous: builtOn?.map,
    seed: randomBytes(8).toString('hex'),
  });
  await journal.addAudit(findings);
  const { mismatch, read, of, seed } = findings;
  log.info(
    `Audit of ${disk.vm}'s disk ${disk.diskKey}: ` +
      (mismatch === undefined ? 'nothing wrong' : `block ${mismatch} is not what the hypervisor says it is`) +
      `; ${read} of ${of} blocks read, seed ${seed}.`,
  );
  if (mismatch === undefined) return known;
  log.warn(auditNote(disk.diskKey, findings));
  return undefined;
}

async function toldAreas(
  { hypervisor, primaryName, backupId, diskKey }: DiskOfSnapshot,
  builtOn: BackupManifest | undefined,
): Promise<KnownAreas | undefined> {
  const since = markerIn(diskKey, builtOn);
  if (since !== undefined) {
    const changed = await hypervisor.changedAreas(primaryName, backupId, diskKey, since);
    if (changed !== undefined) return { areas: changed, outside: 'as before' };
  }
  const data = await hypervisor.changedAreas(primaryName, backupId, diskKey);
  return data && { areas: data, outside: 'zeros' };
}

/** The disk's change marker of an earlier backup; a manifest from before there were markers had the backup's id for one. */
function markerIn(diskKey: string, manifest: BackupManifest | undefined): string | undefined {
  if (manifest === undefined) return undefined;
  return manifest.disks.find(({ key }) => key === diskKey)?.changeMarker ?? manifest.backupId;
}

/** What an operator should know of audits: for the backup's manifest and the run's result. */
export function auditNotes(diskKey: string, { audit }: BackupJournal): string[] {
  return audit?.mismatch === undefined ? [] : [auditNote(diskKey, audit)];
}

function auditNote(diskKey: string, { mismatch, seed }: AuditFindings): string {
  return (
    `The hypervisor's tracking of changes was wrong about disk ${diskKey} (block ${mismatch}; audit ${seed}): every block of the ` +
    `disk was compared, so this backup is right, and earlier ones may lack changes. Switch change tracking of the VM off and ` +
    `on again, where the hypervisor can.`
  );
}
