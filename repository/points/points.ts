import { mapAhead } from '../../blocks/pipeline';
import { isTurnedAway, type Lines } from '../../plan/lines';
import { MANIFESTS_AT_ONCE, listBackups, readManifest } from '../backups/backups';
import { type BackupManifest } from '../backups/manifest';
import { type ObjectStore } from '../objects/object-store';

/** A recovery point as people choose among them. */
export interface RecoveryPoint extends Pick<
  BackupManifest,
  'backupId' | 'takenAt' | 'consistency' | 'notes'
> {
  kind: 'full' | 'incremental';
  /** Of a line that people have turned away from. */
  turnedAway: boolean;
}

/** The recovery points of a VM that are in use, the newest first. */
export async function readPoints(store: ObjectStore, vm: string, lines: Lines): Promise<RecoveryPoint[]> {
  const points: RecoveryPoint[] = [];
  const ids = (await listBackups(store, vm)).reverse();
  for await (const manifest of mapAhead(ids, MANIFESTS_AT_ONCE, (id) => readManifest(store, vm, id))) {
    if (manifest === undefined) continue;
    const { backupId, takenAt, consistency, notes, previous } = manifest;
    points.push({
      ...{ backupId, takenAt, consistency },
      ...(notes === undefined ? {} : { notes }),
      kind: previous === undefined ? 'full' : 'incremental',
      turnedAway: isTurnedAway(lines, manifest),
    });
  }
  return points;
}

/** The backups that one run made belong together: the end of their ids is of the run. */
export const roundOf = (backupId: string): string => backupId.slice(backupId.lastIndexOf('-') + 1);
