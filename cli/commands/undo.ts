import { type Command } from 'commander';
import { evidenceLine } from '../evidence-text';
import { mindText } from '../mind-text';
import { type CliContext } from '../io';
import { secondsText } from '../numbers';
import { runCommand, type RunOptions } from '../run-command';
import { byOption } from '../deciding';
import { planRunCommand } from './run-options';

type Options = RunOptions & { discardWritesSince?: string; homeLost?: boolean };

export function undoCommand(context: CliContext): Command {
  return planRunCommand(
    'undo',
    'take a completed failover back, to the VMs at home as they are, or a failback that is not committed, to the instances',
  )
    .addOption(byOption())
    .option(
      '--discard-writes-since <time>',
      'since when writes are given up: exactly what the command tells that is given without it',
    )
    .option(
      '--home-lost',
      'of a failback: the data centre is lost again; the VMs there are powered off when it is back',
    )
    .action((plan: string, options: Options) =>
      runCommand(
        context,
        {
          type: 'undo',
          more: {
            ...(options.discardWritesSince === undefined
              ? {}
              : { discardWritesSince: options.discardWritesSince }),
            ...(options.homeLost === true ? { homeLost: true } : {}),
          },
          text: ({ undone, discardedSince, downtimeSeconds, removed, warnings, fence, ...more }) =>
            `The ${undone} is undone: the application serves ${undone === 'failover' ? 'at the primary site' : 'on EC2'} again, after ${secondsText(downtimeSeconds)} out of service. ` +
            `What was written ${undone === 'failover' ? 'on EC2' : 'at the primary site'} since ${discardedSince} is discarded.\n` +
            mindText(warnings) +
            (undone === 'failover'
              ? `Removed at the recovery site: ${removed.length === 0 ? 'nothing' : removed.join(', ')}\n`
              : `The VMs at the primary site are off${fence === undefined ? '' : ', and are kept so'}.\n`) +
            evidenceLine(plan, more),
        },
        plan,
        options,
      ),
    );
}
