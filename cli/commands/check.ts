import { type Command } from 'commander';
import { EXIT, type ExitCode } from '../exit-codes';
import { type Verdict } from '../../plan/readiness';
import { type CliContext } from '../io';
import { checkText } from '../readiness-text';
import { runCommand, type RunOptions } from '../run-command';
import { planRunCommand } from './run-options';

const EXIT_CODES: Record<Verdict, ExitCode> = {
  ready: EXIT.ok,
  'ready with warnings': EXIT.readyWithWarnings,
  'not ready': EXIT.notReady,
};

/** `check PLAN`: asks beforehand for all that a failover will need. */
export function checkCommand(context: CliContext): Command {
  return planRunCommand('check', 'ask beforehand for all that a failover will need').action(
    (plan: string, options: RunOptions) =>
      runCommand(
        context,
        { type: 'check', text: checkText, exitCode: ({ verdict }) => EXIT_CODES[verdict] },
        plan,
        options,
      ),
  );
}
