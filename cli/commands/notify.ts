import { type Command, Option } from 'commander';
import { printable } from '../../plan/printable';
import { EXIT } from '../exit-codes';
import { type CliContext } from '../io';
import { runCommand, type RunOptions } from '../run-command';
import { tableText } from '../table';
import { planRunCommand } from './run-options';

/** `notify PLAN --test`: whether those who are to be told of the plan can be. */
export function notifyCommand(context: CliContext): Command {
  return planRunCommand('notify', "send a test to each of the plan's receivers, and tell what it answers")
    .addOption(new Option('--test', 'say so: nothing but tests is sent by hand').makeOptionMandatory())
    .action((plan: string, options: RunOptions) =>
      runCommand(
        context,
        {
          type: 'tryNotices',
          command: 'notify --test',
          text: ({ receivers }) =>
            tableText(
              ['receiver', 'has it', 'answer'],
              receivers.map(({ receiver, delivered, answer }) => [
                receiver,
                delivered ? 'yes' : 'no',
                printable(answer),
              ]),
            ),
          exitCode: ({ receivers }) =>
            receivers.every(({ delivered }) => delivered) ? EXIT.ok : EXIT.failed,
        },
        plan,
        options,
      ),
    );
}
