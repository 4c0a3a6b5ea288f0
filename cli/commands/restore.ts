import { type Command } from 'commander';
import { type CliContext } from '../io';
import { copyRow, COPY_HEAD } from '../copy-rows';
import { type VmRestoreResult } from '../../workflows/restore';
import { bytesText, secondsText } from '../numbers';
import { runCommand, type RunOptions } from '../run-command';
import { tableText } from '../table';
import { planRunCommand } from './run-options';

export function restoreCommand(context: CliContext): Command {
  return planRunCommand('restore', "bring every VM's DR copy up to its newest backup").action(
    (plan: string, options: RunOptions) =>
      runCommand(
        context,
        {
          type: 'restore',
          text: ({ vms }) =>
            tableText(
              ['VM', 'disk', 'kind', 'recovery point', 'snapshot', ...COPY_HEAD],
              vms.flatMap(({ vm, kind, takenAt, disks }) =>
                disks.length === 0
                  ? [[vm, '', kind, takenAt, '', '', '', '']]
                  : disks.map((disk) => [vm, disk.key, kind, takenAt, disk.snapshotId, ...copyRow(disk)]),
              ),
            ) +
            vms
              .filter(({ reason }) => reason !== undefined)
              .map(({ vm, reason }) => `${vm}: a full copy, because ${reason}\n`)
              .join('') +
            vms.map(launchCopyText).join('') +
            vms.map(lockText).join(''),
        },
        plan,
        options,
      ),
  );
}

/** What became of the VM's launch copy; nothing where there is one as before. */
function launchCopyText({ vm, launchCopy }: VmRestoreResult): string {
  if (launchCopy === undefined) return '';
  const { outcome, reason, bytes, seconds, warnings } = launchCopy;
  const told = warnings.map((warning) => `${vm}: ${warning}\n`).join('');
  if (outcome === 'kept') return told;
  if (outcome === 'made')
    return `${vm}: ready to launch (${bytesText(bytes)} more, ${secondsText(seconds)})\n${told}`;
  return `${vm}: no launch copy, so that a failover takes the longer way: ${reason}\n${told}`;
}

/** What became of the VM's lock; nothing where one is there as before. */
function lockText({ vm, lock }: VmRestoreResult): string {
  if (lock === undefined || lock.outcome === 'kept') return '';
  return lock.outcome === 'not locked'
    ? `${vm}: no DR copy was locked, so that whoever may delete snapshots can delete it: ${lock.reason}\n`
    : `${vm}: the DR copy of ${lock.takenAt} is locked until ${lock.until}\n`;
}
