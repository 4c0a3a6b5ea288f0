import { type Command, Option } from 'commander';
import { type CliContext } from '../io';
import { copyRow, COPY_HEAD } from '../copy-rows';
import { secondsText } from '../numbers';
import { runCommand, type RunOptions } from '../run-command';
import { tableText } from '../table';
import { planRunCommand } from './run-options';

export function failbackCommand(context: CliContext): Command {
  return planRunCommand('failback', 'bring the application home; the data centre may be empty')
    .addOption(
      new Option('--hardware <which>', 'CPUs and memory at home: those of the EC2 instance, or those before')
        .choices(['instance', 'original'])
        .default('instance'),
    )
    .action((plan: string, options: RunOptions & { hardware: 'instance' | 'original' }) =>
      runCommand(
        context,
        {
          type: 'failback',
          more: { hardware: options.hardware },
          text: ({ vms, downtimeSeconds }) =>
            tableText(
              ['VM', 'disk', 'copied', ...COPY_HEAD],
              vms.flatMap(({ vm, firstCopy, changes }) => [
                ...firstCopy.map((disk) => [vm, disk.key, 'while it served', ...copyRow(disk)]),
                ...changes.map((disk) => [vm, disk.key, 'after its stop', ...copyRow(disk)]),
              ]),
            ) +
            `The application did not serve for ${secondsText(downtimeSeconds)}.\n` +
            `What is left on EC2 stays until: lifeboat commit ${plan}\n`,
        },
        plan,
        options,
      ),
    );
}
