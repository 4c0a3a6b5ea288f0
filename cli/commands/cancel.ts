import { type EC2Client } from '@aws-sdk/client-ec2';
import { Command } from 'commander';
import { awsClients } from '../../activities/aws-proxy/account/clients';
import { lifeboatClient } from '../../client/client';
import { RunFailedError } from '../../client/errors';
import { type MadeByRun, madeByRun } from '../../client/made-by-run';
import { CLIENT_ATTEMPTS } from '../../client/repository';
import { type LifeboatRun } from '../../client/run';
import { runLink } from '../../client/web-ui';
import { messageOf } from '../../host/message-of';
import { CliError, EXIT } from '../exit-codes';
import { type CliContext, type CliIo, writeJson } from '../io';
import { findPlan } from '../plan-argument';
import { siteSettings } from '../run-command';

interface Options {
  test?: boolean;
  yes?: boolean;
  wait: boolean;
  json?: boolean;
}

type Outcome = 'cancelling' | 'completed' | RunFailedError['outcome'];

/** `cancel PLAN`: tells what would be taken back, asks, and takes it back. */
export function cancelCommand({ io, exit }: CliContext): Command {
  return new Command('cancel')
    .description('cancel a failover or failback, which takes itself back; tells beforehand what goes')
    .argument('<plan>', 'path of a plan file, or name of a published plan')
    .option('--test', "the plan's test failover")
    .option('--yes', 'do not ask')
    .option('--no-wait', 'do not wait until all is taken back')
    .option('--json', 'write one JSON document to stdout')
    .action(async (argument: string, options: Options) => {
      const settings = siteSettings(io);
      const { plan } = await findPlan(argument, settings, io.cwd);
      const { ec2 } = awsClients({ region: plan.recoverySite.region, maxAttempts: CLIENT_ATTEMPTS });
      const client = await lifeboatClient({ ignoreConfigurationFile: settings.sandboxFile !== undefined });
      try {
        const { run, takesBack } = await client.decisions.whatCancelTakesBack(plan.name, options);
        const made = await listed(io, ec2, run);
        io.err(previewText(run, takesBack, made));
        await confirm(io, options);
        await run.handle.cancel();
        const outcome = options.wait ? await endOf(run) : 'cancelling';
        const left = outcome === 'cancelled' ? idsOf(await listed(io, ec2, run)) : [];
        const ok = (outcome === 'cancelled' || outcome === 'cancelling') && (left ?? []).length === 0;
        exit(ok ? EXIT.ok : EXIT.failed);
        if (options.json === true)
          writeJson(io, {
            ...{ command: 'cancel', ok, plan: plan.name },
            run: {
              ...{ workflowId: run.workflowId, runId: run.runId },
              webUi: runLink(settings.webUi, run.namespace, run) ?? null,
            },
            ...{ takesBack: takesBack ?? null, made: made ?? null, outcome, left: left ?? null },
          });
        else io.out(`${run.workflowId} ${endText(outcome, left, argument)}\n`);
      } finally {
        await client.close();
      }
    });
}

/** @returns undefined where the account cannot be asked, which is told: what is to be cancelled may be in trouble for just that */
async function listed(io: CliIo, ec2: EC2Client, run: LifeboatRun): Promise<MadeByRun | undefined> {
  try {
    return await madeByRun(ec2, run);
  } catch (error) {
    io.err(`The account cannot be asked what the run has made: ${messageOf(error)}\n`);
    return undefined;
  }
}

function previewText(run: LifeboatRun, takesBack: string[] | undefined, made: MadeByRun | undefined): string {
  const lines =
    takesBack === undefined
      ? ['It cannot be asked what it takes back: no control worker answers, or it has only begun.']
      : takesBack.length === 0
        ? ['It has nothing to take back: what it has done by now stays.']
        : [
            `Cancelling ${run.workflowId} takes back, in this order:`,
            ...takesBack.map((what) => `  ${what}`),
          ];
  if (made !== undefined && takesBack?.length !== 0) {
    const kinds = Object.entries(made) as [string, string[]][];
    const present = kinds.filter(([, ids]) => ids.length > 0);
    lines.push(
      present.length === 0
        ? 'In the account it has nothing now.'
        : `In the account it has now: ${present.map(([kind, ids]) => `${ids.length} ${kind} (${ids.join(', ')})`).join('; ')}`,
    );
    if (made.instances.length > 0 && run.type === 'failover')
      lines.push('What was written on these instances since they were started is lost.');
  }
  return lines.map((line) => `${line}\n`).join('');
}

/** @throws CliError where nobody says yes */
async function confirm(io: CliIo, { yes = false }: Options): Promise<void> {
  if (yes) return;
  if (io.ask === undefined)
    throw new CliError('Nothing was cancelled, as nobody can be asked here; add --yes.', EXIT.badInput);
  const answer = await io.ask('Cancel it? Type yes: ');
  if (answer.trim().toLowerCase() !== 'yes') throw new CliError('Nothing was cancelled.', EXIT.failed);
}

async function endOf(run: LifeboatRun): Promise<Outcome> {
  try {
    await run.result();
    return 'completed';
  } catch (error) {
    if (error instanceof RunFailedError) return error.outcome;
    throw error;
  }
}

const idsOf = (made: MadeByRun | undefined): string[] | undefined =>
  made === undefined ? undefined : (Object.values(made).flat() as string[]);

/** @param left undefined where nobody knows */
function endText(outcome: Outcome, left: string[] | undefined, plan: string): string {
  if (outcome === 'completed') return 'was done before it could be cancelled; nothing was taken back.';
  if (outcome === 'cancelling') return 'is being cancelled, and takes itself back.';
  if (outcome !== 'cancelled') return `did not end by being cancelled, but ${outcome}.`;
  if (left === undefined)
    return `is cancelled; whether it has left something is not known. See its run in Temporal, and: lifeboat sweep ${plan}`;
  return left.length === 0
    ? 'is cancelled, and has taken itself back.'
    : `is cancelled, but has left ${left.join(', ')}; see its run in Temporal, and: lifeboat sweep ${plan}`;
}
