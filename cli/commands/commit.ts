import { type Command } from 'commander';
import { type CliContext } from '../io';
import { runCommand, type RunOptions } from '../run-command';
import { byOption } from '../deciding';
import { planRunCommand } from './run-options';

export function commitCommand(context: CliContext): Command {
  return planRunCommand('commit', 'make a failback final: remove the EC2 side and let replication resume')
    .addOption(byOption())
    .action((plan: string, options: RunOptions) =>
      runCommand(
        context,
        {
          type: 'commit',
          text: ({ removed }) =>
            `Removed at the recovery site: ${removed.length === 0 ? 'nothing' : removed.join(', ')}\n`,
        },
        plan,
        options,
      ),
    );
}
