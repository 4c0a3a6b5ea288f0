import { type Command } from 'commander';
import { bytesText, secondsText } from '../numbers';
import { type CliContext } from '../io';
import { runCommand, type RunOptions } from '../run-command';
import { tableText } from '../table';
import { planRunCommand } from './run-options';

export function verifyCommand(context: CliContext): Command {
  return planRunCommand('verify', 'read the DR copies back and compare every block with the backups')
    .option('--vm <name>', 'of one VM only')
    .action((plan: string, options: RunOptions & { vm?: string }) =>
      runCommand(
        context,
        {
          type: 'verify',
          more: { vm: options.vm },
          text: ({ vms }) =>
            tableText(
              ['VM', 'disk', 'recovery point', 'snapshot', 'blocks', 'bytes', 'time'],
              vms.flatMap(({ vm, takenAt, disks }) =>
                disks.map(({ key, snapshotId, blocks, bytes, seconds }) => [
                  vm,
                  key,
                  takenAt,
                  snapshotId,
                  String(blocks),
                  bytesText(bytes),
                  secondsText(seconds),
                ]),
              ),
            ) + 'Every block is as in its backup.\n',
        },
        plan,
        options,
      ),
    );
}
