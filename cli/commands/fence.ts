import { Command, Option } from 'commander';
import { lifeboatClient } from '../../client/client';
import { AlreadyRunningError } from '../../client/errors';
import { runLink } from '../../client/web-ui';
import { fenceStanding } from '../../plan/fence';
import { orderFence } from '../../repository/plans/fencing';
import { readPlanState, WrongPhaseError } from '../../repository/plans/plan-state';
import { CliError, EXIT } from '../exit-codes';
import { fenceText } from '../fence-text';
import { type CliContext, writeJson } from '../io';
import { findPlan } from '../plan-argument';
import { siteSettings } from '../run-command';

interface Options {
  start?: boolean;
  stop?: boolean;
  json?: boolean;
}

/** `fence PLAN`: the order to keep the VMs off at home while their successors serve, and who carries it out. */
export function fenceCommand({ io }: CliContext): Command {
  return new Command('fence')
    .description('show whether the VMs at the primary site are kept off while the plan is failed over')
    .argument('<plan>', 'path of a plan file, or name of a published plan')
    .addOption(
      new Option(
        '--start',
        'keep them off from now on; also where the order is there, and a new Temporal server does not know it',
      ).conflicts('stop'),
    )
    .option('--stop', 'keep them off no more')
    .option('--json', 'write one JSON document to stdout')
    .action(async (argument: string, options: Options) => {
      const settings = siteSettings(io);
      const { plan, store } = await findPlan(argument, settings, io.cwd);
      const client = await lifeboatClient({ ignoreConfigurationFile: settings.sandboxFile !== undefined });
      try {
        if (options.start === true || options.stop === true)
          await orderFence(store, plan.name, options.start === true ? 'open' : 'stopped').catch(refused);
        const state = await readPlanState(store, plan.name);
        const standing = fenceStanding(state);
        if (options.start === true)
          await client
            .start('fence', { plan: plan.name, ...(state === undefined ? {} : { digest: state.digest }) })
            .catch(unlessRunning);
        const run = await client.attach('fence', { plan: plan.name });
        const fence = state?.fence;
        if (options.json === true)
          writeJson(io, {
            command: 'fence',
            ok: true,
            plan: plan.name,
            fence: fence === undefined ? null : { ...fence, standing },
            run:
              run === undefined
                ? null
                : {
                    workflowId: run.workflowId,
                    runId: run.runId,
                    webUi: runLink(settings.webUi, run.namespace, run) ?? null,
                  },
          });
        else
          io.out(
            fence === undefined
              ? `The plan ${plan.name} has no order to keep its VMs off at the primary site.\n`
              : fenceText(fence, standing) +
                  (standing !== 'over' && run === undefined
                    ? `Nobody carries it out at this Temporal server: lifeboat fence ${argument} --start\n`
                    : ''),
          );
      } finally {
        await client.close();
      }
    });
}

function refused(error: unknown): never {
  if (error instanceof WrongPhaseError)
    throw new CliError(error.message, EXIT.badInput, {}, { cause: error });
  throw error;
}

function unlessRunning(error: unknown): void {
  if (!(error instanceof AlreadyRunningError)) throw error;
}
