import { type Command } from 'commander';
import { type CliContext } from '../io';
import { copyRow, COPY_HEAD } from '../copy-rows';
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
              .join(''),
        },
        plan,
        options,
      ),
  );
}
