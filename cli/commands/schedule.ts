import { Command, InvalidArgumentError, Option } from 'commander';
import { lifeboatClient, type LifeboatClient } from '../../client/client';
import { CHECK_FREQUENCY_SECONDS } from '../../client/check-schedules';
import { type PlanSchedule } from '../../client/schedules';
import { CliError, EXIT } from '../exit-codes';
import { type CliContext, writeJson } from '../io';
import { secondsText } from '../numbers';
import { findPlan, isPlanFile, type PlanArgument } from '../plan-argument';
import { siteSettings } from '../run-command';
import { loadPlanFile } from '../../plan/load';
import { durationSeconds } from '../../plan/duration';

interface Options {
  json?: boolean;
}

interface CreateOptions extends Options {
  /** False with `--no-check`. */
  check: boolean;
  checkEvery: number;
}

/** `schedule create|delete|show`: replication at the plan's frequency, and the standing check beside it. */
export function scheduleCommand(context: CliContext): Command {
  const { io } = context;
  const schedule = new Command('schedule').description(
    "replicate on a schedule, at the plan's frequency, and check the plan every half hour",
  );

  subcommand('create', "create the schedules, or give them the plan's present frequency")
    .addOption(
      new Option('--check-every <time>', 'how often the plan is checked, such as 30m or 4h')
        .default(CHECK_FREQUENCY_SECONDS, '30m')
        .argParser(checkFrequency),
    )
    .option('--no-check', 'without the standing check; one that there is goes')
    .action(async (argument: string, options: CreateOptions) => {
      const settings = siteSettings(io);
      const plan: PlanArgument = await findPlan(argument, settings, io.cwd);
      await withClient(settings.sandboxFile, async (client) => {
        await plan.publish();
        const { name, replication } = plan.plan;
        const done = await client.schedules.set(name, replication.frequency);
        if (options.check) {
          await client.checkSchedules.set(name, options.checkEvery);
          // This version of the plan may never have been checked.
          await client.checkSchedules.trigger(name);
        } else await client.checkSchedules.delete(name);
        const shown = await showBoth(client, name);
        if (options.json === true) return writeJson(io, { ...scheduleDocument('create', name, shown), done });
        io.out(`The schedule of ${name} is ${done}: every ${secondsText(replication.frequency)}.\n`);
        if (options.check) io.out(`It is checked every ${secondsText(options.checkEvery)}, and now.\n`);
      });
    });

  subcommand('delete', 'delete the schedules; a round that is under way goes on').action(
    async (argument: string, options: Options) => {
      const name = await planName(argument);
      await withClient(siteSettings(io).sandboxFile, async (client) => {
        const deleted = await client.schedules.delete(name);
        const checked = await client.checkSchedules.delete(name);
        if (!deleted && !checked) throw none(name);
        if (options.json === true)
          writeJson(io, { ...scheduleDocument('delete', name, {}), done: 'deleted' });
        else io.out(`The schedule of ${name} is deleted.\n`);
      });
    },
  );

  subcommand('show', 'show the schedules, their next rounds and the last ones').action(
    async (argument: string, options: Options) => {
      const name = await planName(argument);
      await withClient(siteSettings(io).sandboxFile, async (client) => {
        const found = await showBoth(client, name);
        if (options.json === true) return writeJson(io, scheduleDocument('show', name, found));
        if (found.replication === undefined && found.check === undefined) throw none(name);
        if (found.replication !== undefined) io.out(scheduleText(`${name} is replicated`, found.replication));
        if (found.check !== undefined) io.out(scheduleText(`${name} is checked`, found.check));
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

/** A plan's schedules; absent are those that it has not. */
interface BothSchedules {
  replication?: PlanSchedule | undefined;
  check?: PlanSchedule | undefined;
}

async function showBoth({ schedules, checkSchedules }: LifeboatClient, plan: string): Promise<BothSchedules> {
  return { replication: await schedules.describe(plan), check: await checkSchedules.describe(plan) };
}

function checkFrequency(text: string): number {
  if (!/^[1-9]\d{0,8}(s|m|h|d)$/.test(text)) throw new InvalidArgumentError('It must be like 30m, 4h or 1d.');
  return durationSeconds(text);
}

function scheduleDocument(command: string, plan: string, { replication, check }: BothSchedules) {
  const document = (schedule: PlanSchedule | undefined) =>
    schedule === undefined
      ? null
      : { ...schedule, frequencySeconds: schedule.frequencySeconds ?? null, note: schedule.note ?? null };
  return {
    command: `schedule ${command}`,
    ok: true,
    plan,
    schedule: document(replication),
    checkSchedule: document(check),
  };
}

/** @param what of the plan goes on by it, such as `shop is replicated` */
function scheduleText(what: string, schedule: PlanSchedule): string {
  const every =
    schedule.frequencySeconds === undefined
      ? 'at other times'
      : `every ${secondsText(schedule.frequencySeconds)}`;
  const lines = [
    `The plan ${what} ${every}${schedule.paused ? `, but paused (${schedule.note ?? 'no reason given'})` : ''}.`,
    `next:    ${schedule.nextTimes[0] ?? 'never'}`,
    ...schedule.recentRuns.slice(-5).map(({ at, workflowId }) => `started: ${at}  ${workflowId}`),
    ...(schedule.skipped > 0
      ? [`${schedule.skipped} rounds were skipped, as the one before was still under way.`]
      : []),
  ];
  return `${lines.join('\n')}\n`;
}
