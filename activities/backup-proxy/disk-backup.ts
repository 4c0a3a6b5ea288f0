import { Context } from '@temporalio/activity';
import { openFileSource } from '../../blocks/file-source';
import { type Hypervisor } from '../../hypervisor/port';
import { primaryNameOf } from '../../plan/primary-vm';
import { type RepositoryAddress } from '../../plan/run';
import { storeChangedBlocks } from '../../repository/new-backup/backup-disk';
import { BackupJournal } from '../../repository/new-backup/backup-journal';
import {
  findBlockMap,
  openBlockMap,
  newestManifest,
  putOnce,
  readManifest,
} from '../../repository/backups/backups';
import { BlockMap } from '../../repository/maps/block-map';
import { blockCount } from '../../repository/maps/block-map-format';
import { continueBackup, pinInUse } from '../../repository/backups/building-on';
import { DamagedObjectError } from '../../repository/objects/json-object';
import { type LimitedSending } from '../../repository/objects/limited-sending';
import { blockMapKey } from '../../repository/objects/keys';
import { type BackupManifest } from '../../repository/backups/manifest';
import { type ObjectStore } from '../../repository/objects/object-store';
import { beatingProgress, journalPath, newProgress, type TrackedProgress } from '../block-copy';
import { type BackupProxyActivities } from './contract';
import { type PlanLimits } from './plan-limits';
import { auditNotes, knownAreas } from './known-areas';

export interface DiskBackupDependencies {
  hypervisor: Hypervisor;
  objectStore: (address: RepositoryAddress, sending?: LimitedSending) => ObjectStore;
  limits: PlanLimits;
  /** Where the progress of copies outlives the process. */
  stateDirectory: string;
}

type Input = Parameters<BackupProxyActivities['backupDisk']>[0];
type Result = Awaited<ReturnType<BackupProxyActivities['backupDisk']>>;

/** One disk of a snapshot, on its way into the repository. */
interface DiskOfBackup {
  store: ObjectStore;
  vm: string;
  /** What the hypervisor calls the VM. */
  primaryName: string;
  backupId: string;
  diskKey: string;
  sizeBytes: number;
  signal: AbortSignal;
}

/** The activity; see its contract. */
export async function backupDisk(dependencies: DiskBackupDependencies, input: Input): Promise<Result> {
  const { run, vm, backupId, diskKey } = input;
  const primaryName = primaryNameOf(input);
  const signal = Context.current().cancellationSignal;
  const limit = dependencies.limits.of(run.plan, input.limit);
  const store = dependencies.objectStore(run.repository, limit && { limit, signal });
  const progress = newProgress('backup', vm, diskKey);
  return beatingProgress(progress, async () => {
    const opened = await dependencies.hypervisor.openSnapshotDisk(primaryName, backupId, diskKey);
    try {
      const disk = { store, vm, primaryName, backupId, diskKey, sizeBytes: opened.sizeBytes, signal };
      progress.totalBlocks = blockCount(disk.sizeBytes);
      const { bucket, prefix } = run.repository;
      const identity = [bucket, prefix, vm, backupId, diskKey, String(disk.sizeBytes)];
      const path = journalPath(dependencies.stateDirectory, 'backup', identity);
      let begun = false;
      const journal = await BackupJournal.open(path, identity, () => {
        begun = true;
        return choosePrevious(disk, input.full ?? false);
      });
      try {
        if (!begun) await continueBackup(store, vm, { backupId, disk: diskKey });
        const map = await ensureBlockMap(dependencies.hypervisor, disk, opened.path, journal, progress);
        const notes = auditNotes(diskKey, journal);
        return {
          blocks: map.storedBlocks,
          bytes: map.storedBytes,
          blocksSentAgain: journal.sentAgain,
          seconds: (Date.now() - journal.beganAt) / 1000,
          full: journal.previous === undefined,
          ...(notes.length === 0 ? {} : { notes }),
        };
      } finally {
        await journal.close();
      }
    } finally {
      await opened.close();
    }
  });
}

async function ensureBlockMap(
  hypervisor: Hypervisor,
  disk: DiskOfBackup,
  path: string,
  journal: BackupJournal,
  progress: TrackedProgress,
): Promise<BlockMap> {
  const { store, vm, backupId, diskKey, sizeBytes } = disk;
  // A map that is there already is whole: it is written after all of its packs. Only its completion got lost.
  const existing = await findBlockMap(store, vm, backupId, diskKey);
  if (existing?.map.diskSizeBytes === sizeBytes) return existing.map;

  const builtOn = await backupBuiltOn(disk, journal.previous);
  const source = await openFileSource(path, sizeBytes);
  try {
    const bytes = await storeChangedBlocks({
      ...disk,
      source,
      previous: builtOn?.map,
      known: await knownAreas({ ...disk, hypervisor, source }, journal, builtOn),
      journal,
      onProgress(doneBlocks, storedBytes) {
        progress.doneBlocks = doneBlocks;
        progress.bytes = storedBytes;
      },
    });
    await putOnce(store, blockMapKey(vm, backupId, diskKey), bytes);
    return BlockMap.parse(store, vm, bytes);
  } finally {
    await source.close();
  }
}

/** The backup that was chosen to build on; undefined where none was. @throws DamagedObjectError where it is gone */
async function backupBuiltOn(
  disk: DiskOfBackup,
  backupId: string | undefined,
): Promise<{ manifest: BackupManifest; map: BlockMap } | undefined> {
  if (backupId === undefined) return undefined;
  const manifest = await readManifest(disk.store, disk.vm, backupId);
  const map = await mapIn(disk, manifest);
  if (manifest === undefined || map === undefined)
    throw new DamagedObjectError(
      blockMapKey(disk.vm, backupId, disk.diskKey),
      'the backup that is being resumed builds on it, and it is gone',
    );
  return { manifest, map };
}

/** The backup to build on, pinned; undefined where there is none to build on. */
async function choosePrevious(disk: DiskOfBackup, full: boolean): Promise<string | undefined> {
  const { store, vm, backupId, diskKey } = disk;
  for (;;) {
    const previous = full ? undefined : await usablePrevious(disk);
    const uses = previous === undefined ? [] : [previous];
    if (await pinInUse(store, vm, { backupId, disk: diskKey }, uses)) return previous;
    Context.current().log.info(`${previous} was retired a moment ago; choosing another backup to build on.`);
  }
}

/** The newest backup; undefined, and said so, where there is none or the disk is not the same in it. */
async function usablePrevious(disk: DiskOfBackup): Promise<string | undefined> {
  const { log } = Context.current();
  const { vm, diskKey, backupId } = disk;
  try {
    const manifest = await newestUsableBackup(disk.store, vm, backupId);
    if (manifest === undefined) return undefined;
    if ((await mapIn(disk, manifest)) !== undefined) return manifest.backupId;
    log.warn(
      `Backing up ${vm}'s disk ${diskKey} in full: ${manifest.backupId} has no disk of that key and size.`,
    );
  } catch (error) {
    if (!(error instanceof DamagedObjectError)) throw error;
    log.warn(`Backing up ${vm}'s disk ${diskKey} in full: ${error.message}`);
  }
  return undefined;
}

/** The VM's newest backup other than the given one; a manifest that cannot be trusted is as good as none. */
export async function newestUsableBackup(
  store: ObjectStore,
  vm: string,
  except: string,
): Promise<BackupManifest | undefined> {
  try {
    return await newestManifest(store, vm, except);
  } catch (error) {
    if (!(error instanceof DamagedObjectError)) throw error;
    Context.current().log.warn(`Not building on the newest backup of ${vm}: ${error.message}`);
    return undefined;
  }
}

async function mapIn(
  { store, vm, diskKey, sizeBytes }: DiskOfBackup,
  manifest: BackupManifest | undefined,
): Promise<BlockMap | undefined> {
  const found = manifest?.disks.find((disk) => disk.key === diskKey && disk.sizeBytes === sizeBytes);
  return found && openBlockMap(store, vm, found);
}
