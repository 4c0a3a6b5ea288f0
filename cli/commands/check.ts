import { isGrpcServiceError } from '@temporalio/client';
import { type Command } from 'commander';
import { unservedCurrent } from '../../activities/control/workers/unserved-versions';
import { type LifeboatClient } from '../../client/client';
import { CliError, EXIT, type ExitCode } from '../exit-codes';
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

/** gRPC status code. */
const PERMISSION_DENIED = 7;

/** A check cannot say that nobody runs it. Who may not see who polls is told of that by the check's end at the latest. @throws CliError */
export async function requireServedVersion(
  _: unknown,
  { temporal }: Pick<LifeboatClient, 'temporal'>,
): Promise<object> {
  const unserved = await unservedCurrent(temporal).catch((error: unknown) => {
    if (isGrpcServiceError(error) && error.code === (PERMISSION_DENIED as number)) return undefined;
    throw error;
  });
  if (unserved === undefined) return {};
  const { deployment, buildId } = unserved;
  throw new CliError(
    `No control worker of the version ${buildId} answers, which is the current one of ${deployment}: no run goes on, and none begins. Start one of it, or make another version current: lifeboat worker promote.`,
    EXIT.notReady,
    { deployment, buildId },
  );
}

/** `check PLAN`: asks beforehand for all that a failover will need. */
export function checkCommand(context: CliContext): Command {
  return planRunCommand('check', 'ask beforehand for all that a failover will need').action(
    (plan: string, options: RunOptions) =>
      runCommand(
        context,
        {
          ...{ type: 'check', text: checkText },
          exitCode: ({ verdict }) => EXIT_CODES[verdict],
          beforeStart: requireServedVersion,
        },
        plan,
        options,
      ),
  );
}
