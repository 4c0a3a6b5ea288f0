import { mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openFileSource } from '../../blocks/file-source';
import { findBlockMap, putOnce, writeManifest } from '../../repository/backups/backups';
import { type BackedUpDisk } from '../../repository/backups/manifest';
import { BackupJournal } from '../../repository/new-backup/backup-journal';
import { storeChangedBlocks } from '../../repository/new-backup/backup-disk';
import { blockMapKey } from '../../repository/objects/keys';
import { type ObjectStore } from '../../repository/objects/object-store';
import { smallManifest, VM } from './small-backups';

/** Id of {@link backUpFiles}'s backup. */
export const BACKUP_ID = '20261123T181500Z-00000001';

/** Backs raw files up as disks of one VM, called {@link VM}, by key, with a manifest. */
export async function backUpFiles(store: ObjectStore, files: Record<string, string>): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), 'lifeboat-journals-'));
  try {
    const disks: BackedUpDisk[] = [];
    for (const [key, path] of Object.entries(files)) disks.push(await backUp(store, key, path, directory));
    await writeManifest(store, smallManifest(BACKUP_ID, '2026-11-23T18:15:00.000Z', disks));
  } finally {
    await rm(directory, { recursive: true });
  }
}

async function backUp(
  store: ObjectStore,
  key: string,
  path: string,
  directory: string,
): Promise<BackedUpDisk> {
  const { size: sizeBytes } = await stat(path);
  const source = await openFileSource(path, sizeBytes);
  const journal = await BackupJournal.open(join(directory, key), [VM, key], () => Promise.resolve(undefined));
  try {
    const bytes = await storeChangedBlocks({
      ...{ store, vm: VM, backupId: BACKUP_ID, diskKey: key, sizeBytes, source, journal },
      signal: new AbortController().signal,
      onProgress: () => undefined,
    });
    await putOnce(store, blockMapKey(VM, BACKUP_ID, key), bytes);
    const { map, key: blockMap, sha256 } = (await findBlockMap(store, VM, BACKUP_ID, key))!;
    const { length: dataBlocks, storedBlocks, storedBytes } = map;
    return { key, sizeBytes, blockMap, blockMapSha256: sha256, dataBlocks, storedBlocks, storedBytes };
  } finally {
    await journal.close();
    await source.close();
  }
}
