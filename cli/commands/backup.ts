import { type Command } from 'commander';
import { type CliContext } from '../io';
import { copyRow, COPY_HEAD } from '../copy-rows';
import { guestText, notesText } from '../guest-text';
import { runCommand, type RunOptions } from '../run-command';
import { tableText } from '../table';
import { planRunCommand } from './run-options';

export function backupCommand(context: CliContext): Command {
  return planRunCommand('backup', 'back up every VM of the plan into the backup repository')
    .option('--outside-window', 'back up now, although the plan lets backups begin at other hours only')
    .action((plan: string, { outsideWindow, ...options }: RunOptions & { outsideWindow?: boolean }) =>
      runCommand(
        context,
        {
          type: 'backup',
          ...(outsideWindow === true ? { more: { outsideWindow } } : {}),
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
