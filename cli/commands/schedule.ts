import { Command, Option } from 'commander';
import { awsCaller } from '../../client/caller';
import { awsName } from '../../workflows/run/asker';
import { lifeboatClient, type LifeboatClient } from '../../client/client';
import { CHECK_FREQUENCY_SECONDS } from '../../client/check-schedules';
import { type PlanSchedule } from '../../client/schedules';
import { type TestSchedule } from '../../client/test-schedules';
import { CliError, EXIT } from '../exit-codes';
import { type CliContext, writeJson } from '../io';
import { secondsText } from '../numbers';
import { findPlan, isPlanFile, type PlanArgument } from '../plan-argument';
import { siteSettings } from '../run-command';
import { isTimeZone, windowMinutes, windowText } from '../../plan/daily-window';
import { loadPlanFile } from '../../plan/load';
import { type DrPlan } from '../../plan/schema';
import { byOption } from '../deciding';
import { everySeconds, keepSeconds } from '../test-options';

interface Options {
  json?: boolean;
}

interface CreateOptions extends Options {
  /** False with `--no-check`. */
  check: boolean;
  checkEvery: number;
}

interface TestOptions extends Options {
  every: number;
  between?: string;
  timezone: string;
  keep?: number;
  approveAll?: string;
  by: string;
}

/** `schedule create|test|delete|show`: replication at the plan's frequency, the standing check beside it, and tests. */
export function scheduleCommand(context: CliContext): Command {
  const { io } = context;
  const schedule = new Command('schedule').description(
    "replicate on a schedule, at the plan's frequency, check the plan every half hour, and test it",
  );

  subcommand('create', "create the schedules, or give them the plan's present frequency")
    .addOption(
      new Option('--check-every <time>', 'how often the plan is checked, such as 30m or 4h')
        .default(CHECK_FREQUENCY_SECONDS, '30m')
        .argParser(everySeconds),
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
        const shown = await showAll(client, name);
        if (options.json === true) return writeJson(io, { ...scheduleDocument('create', name, shown), done });
        io.out(`The schedule of ${name} is ${done}: every ${secondsText(replication.frequency)}.\n`);
        if (options.check) io.out(`It is checked every ${secondsText(options.checkEvery)}, and now.\n`);
      });
    });

  subcommand('test', 'test the plan on a schedule, or change how: a test failover that removes itself')
    .addOption(
      new Option('--every <time>', 'how often, such as 30d').argParser(everySeconds).makeOptionMandatory(),
    )
    .option('--between <hours>', 'begin within these hours only, such as 22:00-05:00')
    .option('--timezone <name>', 'whose clock these go by, such as Europe/Berlin', 'UTC')
    .addOption(
      new Option('--keep <time>', 'each test stays up for so long, such as 4h').argParser(keepSeconds),
    )
    .option('--approve-all <reason>', 'approve beforehand all that the plan wants approved: nobody attends')
    .addOption(byOption())
    .action(async (argument: string, options: TestOptions) => {
      const { every, between, timezone: timeZone, keep, approveAll: why, by } = options;
      requireHours(between, timeZone);
      const settings = siteSettings(io);
      const plan: PlanArgument = await findPlan(argument, settings, io.cwd);
      const as = why === undefined ? undefined : await awsCaller(plan.plan.recoverySite.region);
      await withClient(settings.sandboxFile, async (client) => {
        await plan.publish();
        const { name } = plan.plan;
        const done = await client.testSchedules.set(name, every, {
          ...(between === undefined ? {} : { between, timeZone }),
          ...(keep === undefined ? {} : { keep }),
          ...(why === undefined ? {} : { approveAll: { by, ...awsName({ as }), why } }),
        });
        const shown = await showAll(client, name);
        if (options.json === true) return writeJson(io, { ...scheduleDocument('test', name, shown), done });
        io.out(`The schedule of tests of ${name} is ${done}: every ${secondsText(every)}.\n`);
        if (shown.test !== undefined) io.out(scheduleText(`${name} is tested`, shown.test));
        if (why === undefined && wantsApproval(plan.plan))
          io.out(
            'The plan wants approvals: each test waits for somebody to give them (lifeboat approve --test), unless --approve-all has given them.\n',
          );
      });
    });

  subcommand('delete', 'delete the schedules; a round that is under way goes on')
    .option('--test', 'only that of tests')
    .action(async (argument: string, options: Options & { test?: boolean }) => {
      const name = await planName(argument);
      await withClient(siteSettings(io).sandboxFile, async (client) => {
        const tested = await client.testSchedules.delete(name);
        const deleted = options.test !== true && (await client.schedules.delete(name));
        const checked = options.test !== true && (await client.checkSchedules.delete(name));
        if (!deleted && !checked && !tested) throw none(name);
        if (options.json === true)
          writeJson(io, { ...scheduleDocument('delete', name, {}), done: 'deleted' });
        else io.out(`The schedule of ${options.test === true ? 'tests of ' : ''}${name} is deleted.\n`);
      });
    });

  subcommand('show', 'show the schedules, their next rounds and the last ones').action(
    async (argument: string, options: Options) => {
      const name = await planName(argument);
      await withClient(siteSettings(io).sandboxFile, async (client) => {
        const found = await showAll(client, name);
        if (options.json === true) return writeJson(io, scheduleDocument('show', name, found));
        if (Object.values(found).every((one) => one === undefined)) throw none(name);
        if (found.replication !== undefined) io.out(scheduleText(`${name} is replicated`, found.replication));
        if (found.check !== undefined) io.out(scheduleText(`${name} is checked`, found.check));
        if (found.test !== undefined) io.out(scheduleText(`${name} is tested`, found.test));
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
interface AllSchedules {
  replication?: PlanSchedule | undefined;
  check?: PlanSchedule | undefined;
  test?: TestSchedule | undefined;
}

async function showAll(
  { schedules, checkSchedules, testSchedules }: LifeboatClient,
  plan: string,
): Promise<AllSchedules> {
  return {
    replication: await schedules.describe(plan),
    check: await checkSchedules.describe(plan),
    test: await testSchedules.describe(plan),
  };
}

/** @throws CliError */
function requireHours(between: string | undefined, timeZone: string): void {
  if (between !== undefined && windowMinutes(between) === undefined)
    throw new CliError(
      `--between must be two different times of day like 22:00-05:00, not ${JSON.stringify(between)}.`,
      EXIT.badInput,
    );
  if (!isTimeZone(timeZone))
    throw new CliError(
      `--timezone must be a time zone of the IANA database such as Europe/Berlin, not ${JSON.stringify(timeZone)}.`,
      EXIT.badInput,
    );
  if (between === undefined && timeZone !== 'UTC')
    throw new CliError('--timezone says whose clock --between goes by; add that.', EXIT.badInput);
}

const wantsApproval = ({ vms, approval }: DrPlan): boolean =>
  vms.some((vm) => vm.approval === true) || approval?.beforeTiers !== undefined;

function scheduleDocument(command: string, plan: string, { replication, check, test }: AllSchedules) {
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
    testSchedule: document(test),
  };
}

/** @param what of the plan goes on by it, such as `shop is replicated` */
function scheduleText(what: string, schedule: PlanSchedule & Partial<TestSchedule>): string {
  const every =
    schedule.frequencySeconds === undefined
      ? 'at other times'
      : `every ${secondsText(schedule.frequencySeconds)}`;
  const { between, timeZone = 'UTC', keep } = schedule;
  const hours = between === undefined ? '' : `, begun ${windowText({ between, timeZone })} only`;
  const kept = keep === undefined ? '' : `, each kept for ${secondsText(keep)}`;
  const lines = [
    `The plan ${what} ${every}${hours}${kept}${schedule.paused ? `, but paused (${schedule.note ?? 'no reason given'})` : ''}.`,
    `next:    ${schedule.nextTimes[0] ?? 'never'}`,
    ...schedule.recentRuns.slice(-5).map(({ at, workflowId }) => `started: ${at}  ${workflowId}`),
    ...(schedule.skipped > 0
      ? [`${schedule.skipped} rounds were skipped, as the one before was still under way.`]
      : []),
  ];
  return `${lines.join('\n')}\n`;
}
