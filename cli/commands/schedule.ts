import { Command } from 'commander';
import { lifeboatClient, type LifeboatClient } from '../../client/client';
import { type ReplicationSchedule } from '../../client/schedules';
import { CliError, EXIT } from '../exit-codes';
import { type CliContext, writeJson } from '../io';
import { secondsText } from '../numbers';
import { findPlan, isPlanFile, type PlanArgument } from '../plan-argument';
import { siteSettings } from '../run-command';
import { loadPlanFile } from '../../plan/load';

interface Options {
  json?: boolean;
}

/** `schedule create|delete|show`: replication at the plan's frequency. */
export function scheduleCommand(context: CliContext): Command {
  const { io } = context;
  const schedule = new Command('schedule').description("replicate on a schedule, at the plan's frequency");

  subcommand('create', "create the schedule, or give it the plan's present frequency").action(
    async (argument: string, options: Options) => {
      const settings = siteSettings(io);
      const plan: PlanArgument = await findPlan(argument, settings, io.cwd);
      await withClient(settings.sandboxFile, async (client) => {
        await plan.publish();
        const { name, replication } = plan.plan;
        const done = await client.schedules.set(name, replication.frequency);
        const shown = await client.schedules.describe(name);
        if (options.json === true) writeJson(io, { ...scheduleDocument('create', name, shown), done });
        else io.out(`The schedule of ${name} is ${done}: every ${secondsText(replication.frequency)}.\n`);
      });
    },
  );

  subcommand('delete', 'delete the schedule; a round that is under way goes on').action(
    async (argument: string, options: Options) => {
      const name = await planName(argument);
      await withClient(siteSettings(io).sandboxFile, async (client) => {
        const deleted = await client.schedules.delete(name);
        if (!deleted) throw none(name);
        if (options.json === true)
          writeJson(io, { ...scheduleDocument('delete', name, undefined), done: 'deleted' });
        else io.out(`The schedule of ${name} is deleted.\n`);
      });
    },
  );

  subcommand('show', 'show the schedule, its next rounds and its last ones').action(
    async (argument: string, options: Options) => {
      const name = await planName(argument);
      await withClient(siteSettings(io).sandboxFile, async (client) => {
        const found = await client.schedules.describe(name);
        if (options.json === true) writeJson(io, scheduleDocument('show', name, found));
        else if (found === undefined) throw none(name);
        else io.out(scheduleText(name, found));
      });
    },
  );
  return schedule;

  function subcommand(name: string, description: string): Command {
    return schedule
      .command(name)
      .description(description)
      .argument('<plan>', 'path of a plan file, or name of a published plan')
      .option('--json', 'write one JSON document to stdout');
  }

  /** Deleting and showing need no more than the name. */
  async function planName(argument: string): Promise<string> {
    return isPlanFile(argument) ? (await loadPlanFile(argument)).plan.name : argument;
  }
}

async function withClient(
  sandboxFile: string | undefined,
  work: (client: LifeboatClient) => Promise<void>,
): Promise<void> {
  const client = await lifeboatClient({ ignoreConfigurationFile: sandboxFile !== undefined });
  try {
    await work(client);
  } finally {
    await client.close();
  }
}

const none = (plan: string): CliError =>
  new CliError(
    `The plan "${plan}" has no schedule; create one with: lifeboat schedule create ${plan}`,
    EXIT.badInput,
  );

function scheduleDocument(command: string, plan: string, schedule: ReplicationSchedule | undefined) {
  return {
    command: `schedule ${command}`,
    ok: true,
    plan,
    schedule:
      schedule === undefined
        ? null
        : { ...schedule, frequencySeconds: schedule.frequencySeconds ?? null, note: schedule.note ?? null },
  };
}

function scheduleText(plan: string, schedule: ReplicationSchedule): string {
  const every =
    schedule.frequencySeconds === undefined
      ? 'at other times'
      : `every ${secondsText(schedule.frequencySeconds)}`;
  const lines = [
    `The plan ${plan} is replicated ${every}${schedule.paused ? `, but paused (${schedule.note ?? 'no reason given'})` : ''}.`,
    `next:    ${schedule.nextTimes[0] ?? 'never'}`,
    ...schedule.recentRuns.slice(-5).map(({ at, workflowId }) => `started: ${at}  ${workflowId}`),
    ...(schedule.skipped > 0
      ? [`${schedule.skipped} rounds were skipped, as the one before was still under way.`]
      : []),
  ];
  return `${lines.join('\n')}\n`;
}
