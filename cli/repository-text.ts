import { BLOCK_SIZE } from '../blocks/port';
import { type Checked } from '../repository/upkeep/check';
import { type Collected } from '../repository/upkeep/collection';
import { type BackupManifest } from '../repository/backups/manifest';
import { bytesText } from './numbers';
import { tableText } from './table';

/** Recovery points with their disks, the newest first. */
export function listText(vms: { vm: string; recoveryPoints: BackupManifest[] }[]): string {
  const rows = vms.flatMap(({ vm, recoveryPoints }) =>
    recoveryPoints.length === 0
      ? [[vm, 'none', '', '', '', '', '', '']]
      : recoveryPoints
          .toReversed()
          .flatMap(({ backupId, takenAt, consistency, previous, disks }) =>
            disks.map((disk, n) => [
              ...(n === 0
                ? [vm, backupId, takenAt, previous === undefined ? 'full' : 'incremental', consistency]
                : ['', '', '', '', '']),
              disk.key,
              `${bytesText(disk.dataBlocks * BLOCK_SIZE)} of ${bytesText(disk.sizeBytes)}`,
              bytesText(disk.storedBytes),
            ]),
          ),
  );
  return tableText(
    ['VM', 'recovery point', 'taken at', 'kind', 'consistency', 'disk', 'data', 'stored'],
    rows,
  );
}

/** What a check found: a line for each VM, and a table of the damage, where there is some. */
export function checkText(checked: Checked[], readData: boolean): string {
  const lines = checked.map(({ vm, recoveryPoints, unneeded, read }) => {
    const damaged = recoveryPoints.filter(({ whole }) => !whole).length;
    const blocks = readData ? `, ${read.blocks} blocks` : '';
    return (
      `${vm}: ${recoveryPoints.length} recovery points, ${damaged === 0 ? 'all whole' : `${damaged} of them damaged`} ` +
      `(${read.pages} pages of block maps${blocks}, ${bytesText(read.bytes)} read); ` +
      `${unneeded.objects} objects (${bytesText(unneeded.bytes)}) that none of them needs\n`
    );
  });
  const rows = checked.flatMap(({ vm, damages }) =>
    damages.map(({ key, problems, recoveryPoints }) => [
      vm,
      key,
      problems.join('\n'),
      recoveryPoints.join('\n'),
    ]),
  );
  if (rows.length > 0)
    return tableText(['VM', 'object', 'problem', 'recovery points that suffer'], rows) + lines.join('');
  return lines.join('') + (readData ? '' : 'Stored blocks were not read; --read-data does that, too.\n');
}

/** What a pruning did, or would do. */
export function pruneText(vms: Collected[], dryRun: boolean): string {
  return (
    tableText(
      [
        'VM',
        'kept',
        dryRun ? 'would be retired' : 'retired',
        dryRun ? 'would be deleted' : 'deleted',
        'a day later',
      ],
      vms.map(({ vm, kept, retired, swept }) => [
        vm,
        String(kept.length),
        retired.length === 0 ? 'none' : retired.join('\n'),
        swept === undefined ? 'not looked' : `${swept.objects} objects, ${bytesText(swept.bytes)}`,
        swept === undefined ? '' : `${swept.waiting.objects} objects, ${bytesText(swept.waiting.bytes)}`,
      ]),
    ) +
    vms
      .map(({ vm, swept }) =>
        swept?.held === undefined
          ? ''
          : `${vm}: ${swept.held.objects} objects (${bytesText(swept.held.bytes)}) are held by the bucket's Object Lock; a later pruning tries again\n`,
      )
      .join('') +
    vms
      .flatMap(({ vm, swept }) =>
        (swept?.abandoned ?? []).map((id) => `${vm}: the unfinished backup ${id} is given up\n`),
      )
      .join('')
  );
}
