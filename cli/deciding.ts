import { Command, InvalidArgumentError, Option } from 'commander';
import { awsCaller } from '../client/caller';
import { lifeboatClient, type LifeboatClient } from '../client/client';
import { type LifeboatRun } from '../client/run';
import { runLink } from '../client/web-ui';
import { whoAmI } from '../client/who-am-i';
import { awsName, LINE } from '../workflows/run/asker';
import { type CliContext, writeJson } from './io';
import { findPlan } from './plan-argument';
import { siteSettings } from './run-command';

/** Options of all commands by which people decide something of a run. */
export interface DecidingOptions {
  reason: string;
  by: string;
  test?: boolean;
  json?: boolean;
}

/** `--by`: who decides, as it is kept in the run's result. */
export const byOption = (meaning = 'who asks or decides, as the run keeps it'): Option =>
  new Option('--by <who>', meaning).argParser(oneLine).default(whoAmI(), 'user@host');

/** What runs and documents keep of what a person writes. @throws InvalidArgumentError */
export function oneLine(text: string): string {
  if (!LINE.test(text)) throw new InvalidArgumentError('It must be one line of at most 500 characters.');
  return text;
}

/** A command that tells a plan's run what a person has decided. */
export const decidingCommand = (name: string, description: string): Command =>
  new Command(name)
    .description(description)
    .argument('<plan>', 'path of a plan file, or name of a published plan')
    .requiredOption('--reason <text>', 'why; kept with the run')
    .addOption(byOption())
    .option('--test', "the plan's test failover, and not its failover or failback")
    .option('--json', 'write one JSON document to stdout');

/** What was decided, of which run. */
interface Decided {
  run: LifeboatRun;
  /** For people, one line. */
  text: string;
  /** Further fields of the JSON document. */
  more?: Record<string, unknown>;
}

/** Finds the plan, does what was decided, and tells it. */
export async function decide(
  { io }: CliContext,
  command: string,
  argument: string,
  { json }: { json?: boolean },
  tell: (client: LifeboatClient, plan: string, asker: { as?: string }) => Promise<Decided>,
): Promise<void> {
  const settings = siteSettings(io);
  const { plan } = await findPlan(argument, settings, io.cwd);
  const [as, client] = await Promise.all([
    awsCaller(plan.recoverySite.region),
    lifeboatClient({ ignoreConfigurationFile: settings.sandboxFile !== undefined }),
  ]);
  try {
    const { run, text, more = {} } = await tell(client, plan.name, awsName({ as }));
    const { workflowId, runId } = run;
    if (json === true)
      writeJson(io, {
        ...{ command, ok: true, plan: plan.name },
        run: { workflowId, runId, webUi: runLink(settings.webUi, run.namespace, run) ?? null },
        ...more,
      });
    else io.out(`${text}\n`);
  } finally {
    await client.close();
  }
}
