import { type Command, Option } from 'commander';
import { type OnFailure } from '../../workflows/run/attention';
import { EXIT } from '../exit-codes';
import { evidenceLine } from '../evidence-text';
import { mindText } from '../mind-text';
import { type CliContext } from '../io';
import { copyRow, COPY_HEAD } from '../copy-rows';
import { approvalsText } from '../decision-text';
import { hookExitCode, hooksText } from '../hook-text';
import { warningsText } from '../guest-text';
import { secondsText } from '../numbers';
import { runCommand, type RunOptions } from '../run-command';
import { survivorsText } from '../survivors-text';
import { tableText } from '../table';
import { byOption } from '../deciding';
import { onFailureOption, planRunCommand } from './run-options';

type Options = RunOptions & {
  hardware: 'instance' | 'original';
  onFailure: OnFailure;
  replace?: true;
};

export function failbackCommand(context: CliContext): Command {
  return planRunCommand(
    'failback',
    'bring the application home; the data centre may be empty, or have survived',
  )
    .option('--replace', 'make new VMs where there are some of their names, which are kept under other names')
    .addOption(
      new Option('--hardware <which>', 'CPUs and memory at home: those of the EC2 instance, or those before')
        .choices(['instance', 'original'])
        .default('instance'),
    )
    .addOption(byOption())
    .addOption(
      onFailureOption(
        'where a person has to mend something while the instances serve: wait for it, or take all back',
      ),
    )
    .action((plan: string, options: Options, command: Command) =>
      runCommand(
        context,
        {
          type: 'failback',
          more: {
            hardware: options.hardware,
            onFailure: options.onFailure,
            ...(options.replace === undefined ? {} : { replace: options.replace }),
          },
          atBegin: [
            ...(options.replace === undefined ? [] : ['--replace']),
            ...(command.getOptionValueSource('hardware') === 'cli' ? ['--hardware'] : []),
          ],
          exitCode: ({ leftOut = [], hooks }) =>
            leftOut.length > 0 ? EXIT.doneWithout : hookExitCode(hooks),
          text: ({ vms, downtimeSeconds, notes = [], leftOut = [], approvals, hooks, ...more }) =>
            tableText(
              ['VM', 'disk', 'copied', ...COPY_HEAD],
              vms.flatMap(({ vm, firstCopy, changes }) => [
                ...firstCopy.map((disk) => [vm, disk.key, 'while it served', ...copyRow(disk)]),
                ...changes.map((disk) => [vm, disk.key, 'after its stop', ...copyRow(disk)]),
              ]),
            ) +
            survivorsText(vms) +
            warningsText(vms) +
            mindText(notes) +
            approvalsText(approvals) +
            hooksText(hooks) +
            leftOut
              .map((vm) => `Without ${vm}, which the failover had left out: at home it is as it was left.\n`)
              .join('') +
            `The application did not serve for ${secondsText(downtimeSeconds)}.\n` +
            `What is left on EC2 stays until: lifeboat commit ${plan}\n` +
            evidenceLine(plan, more),
        },
        plan,
        options,
      ),
    );
}
