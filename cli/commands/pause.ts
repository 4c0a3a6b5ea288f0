import { type Command } from 'commander';
import { decide, decidingCommand, type DecidingOptions } from '../deciding';
import { type CliContext } from '../io';

/** `pause PLAN`: holds a run. */
export function pauseCommand(context: CliContext): Command {
  return decidingCommand(
    'pause',
    'hold a failover or failback: no further VM boots or is stopped, and DNS does not move; what is under way goes on',
  ).action((argument: string, { by, reason: why, test, json }: DecidingOptions) =>
    decide(context, 'pause', argument, { json }, async ({ decisions }, plan, asker) => {
      const { run, underWay } = await decisions.pause(plan, { by, ...asker, why }, { test });
      const goesOn = underWay.length === 0 ? '' : ` ${underWay.join(', ')}: what is under way goes on.`;
      return { run, text: `${run.workflowId} is paused.${goesOn}`, more: { underWay } };
    }),
  );
}

/** `resume PLAN`: lets a run go on that was paused. */
export function resumeCommand(context: CliContext): Command {
  return decidingCommand('resume', 'let a paused failover or failback go on').action(
    (argument: string, { by, reason: why, test, json }: DecidingOptions) =>
      decide(context, 'resume', argument, { json }, async ({ decisions }, plan, asker) => {
        const { run } = await decisions.resume(plan, { by, ...asker, why }, { test });
        return { run, text: `${run.workflowId} goes on.` };
      }),
  );
}
