import { Command } from 'commander';
import { awsClients } from '../../activities/aws-proxy/account/clients';
import { awsCaller } from '../../client/caller';
import { awsName } from '../../workflows/run/asker';
import { lifeboatClient } from '../../client/client';
import { NotWaitingError, RunFailedError } from '../../client/errors';
import { keptTestsOf } from '../../client/kept-tests';
import { CLIENT_ATTEMPTS } from '../../client/repository';
import { runLink } from '../../client/web-ui';
import { type DrPlan } from '../../plan/schema';
import { byOption } from '../deciding';
import { EXIT } from '../exit-codes';
import { type CliContext, writeJson } from '../io';
import { findPlan } from '../plan-argument';
import { siteSettings } from '../run-command';

interface Options {
  by: string;
  reason: string;
  wait: boolean;
  json?: boolean;
}

/** `test end PLAN`: a test that is kept is removed. */
export function testCommand({ io, exit }: CliContext): Command {
  const test = new Command('test').description(
    'end a test failover that is kept (failover --test --keep TIME)',
  );
  test
    .command('end')
    .description('end the test failover that is kept: all of it is removed')
    .argument('<plan>', 'path of a plan file, or name of a published plan')
    .option('--reason <text>', 'why; kept with the run', 'the test is over')
    .addOption(byOption())
    .option('--no-wait', 'do not wait until all is removed')
    .option('--json', 'write one JSON document to stdout')
    .action(async (argument: string, { by, reason: why, wait, json }: Options) => {
      const settings = siteSettings(io);
      const { plan } = await findPlan(argument, settings, io.cwd);
      const [as, client] = await Promise.all([
        awsCaller(plan.recoverySite.region),
        lifeboatClient({ ignoreConfigurationFile: settings.sandboxFile !== undefined }),
      ]);
      try {
        const { run, since } = await client.decisions
          .endTest(plan.name, { by, ...awsName({ as }), why })
          .catch(async (error: unknown) => {
            throw error instanceof NotWaitingError ? await withOrphans(error, plan, argument) : error;
          });
        const end = wait ? await endOf(run.result()) : { outcome: 'ending' };
        const ok = end.outcome === 'ending' || end.outcome === 'completed';
        exit(ok ? EXIT.ok : EXIT.failed);
        if (json === true)
          writeJson(io, {
            ...{ command: 'test end', ok, plan: plan.name },
            run: {
              ...{ workflowId: run.workflowId, runId: run.runId },
              webUi: runLink(settings.webUi, run.namespace, run) ?? null,
            },
            ...{ keptSince: since, outcome: end.outcome, removed: end.removed ?? null },
          });
        else if (end.error !== undefined) io.err(`lifeboat: the test did not end well: ${end.error}\n`);
        else
          io.out(
            end.removed === undefined
              ? `${run.workflowId} ends, and is being removed.\n`
              : `The test is over; ${end.removed.length} resources were removed.\n`,
          );
      } finally {
        await client.close();
      }
    });
  return test;
}

interface End {
  outcome: string;
  removed?: string[];
  error?: string;
}

async function endOf(result: Promise<unknown>): Promise<End> {
  try {
    return {
      outcome: 'completed',
      removed: (((await result) ?? {}) as { removed?: string[] }).removed ?? [],
    };
  } catch (error) {
    if (error instanceof RunFailedError) return { outcome: error.outcome, error: error.sentence };
    throw error;
  }
}

/** A test whose Temporal server is lost is known by its instances' tags alone. */
async function withOrphans(error: NotWaitingError, plan: DrPlan, argument: string): Promise<NotWaitingError> {
  const { ec2 } = awsClients({ region: plan.recoverySite.region, maxAttempts: CLIENT_ATTEMPTS });
  try {
    const [kept] = await keptTestsOf(ec2, plan.name, new Date());
    return kept === undefined || error.message.includes('removed already')
      ? error
      : new NotWaitingError(
          `${error.message} Instances are kept until ${kept.until} by the test ${kept.runId}; if no Temporal server has it any more: lifeboat sweep --kept-tests ${argument}`,
          { cause: error },
        );
  } catch {
    // What Temporal said is the answer; the account was to add to it.
    return error;
  } finally {
    ec2.destroy();
  }
}
