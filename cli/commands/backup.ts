import { type Command } from 'commander';
import { type CliContext } from '../io';
import { copyRow, COPY_HEAD } from '../copy-rows';
import { guestText, notesText } from '../guest-text';
import { runCommand, type RunOptions } from '../run-command';
import { tableText } from '../table';
import { planRunCommand } from './run-options';

export function backupCommand(context: CliContext): Command {
  return planRunCommand('backup', 'back up every VM of the plan into the backup repository').action(
    (plan: string, options: RunOptions) =>
      runCommand(
        context,
        {
          type: 'backup',
          text: ({ vms }) =>
            tableText(
              ['VM', 'disk', 'kind', 'recovery point', ...COPY_HEAD],
              vms.flatMap(({ vm, kind, takenAt, disks }) =>
                disks.map((disk) => [vm, disk.key, kind, takenAt, ...copyRow(disk)]),
              ),
            ) + vms.map(({ vm, notes, guest }) => notesText(vm, notes) + guestText(vm, guest)).join(''),
        },
        plan,
        options,
      ),
  );
}
