import { Command } from 'commander';
import { lifeboatClient } from '../../client/client';
import { runLink } from '../../client/web-ui';
import { type RetryRequest } from '../../workflows/run/messages';
import { type CliContext, writeJson } from '../io';
import { findPlan } from '../plan-argument';
import { siteSettings } from '../run-command';

interface Options {
  vm?: string;
  instanceType?: string[];
  json?: boolean;
}

/** `retry PLAN`: a person has mended what a failover or failback waits for. */
export function retryCommand({ io }: CliContext): Command {
  return new Command('retry')
    .description('go on with a failover or failback that waits for a person, who has mended what was wrong')
    .argument('<plan>', 'path of a plan file, or name of a published plan')
    .option('--vm <name>', 'this VM only')
    .option('--instance-type <types...>', 'other instance types for that VM, in order of preference')
    .option('--json', 'write one JSON document to stdout')
    .action(async (argument: string, options: Options) => {
      const settings = siteSettings(io);
      const { plan } = await findPlan(argument, settings, io.cwd);
      const client = await lifeboatClient({ ignoreConfigurationFile: settings.sandboxFile !== undefined });
      try {
        const request: RetryRequest = { vm: options.vm, instanceTypes: options.instanceType };
        const { run, vms } = await client.retry(plan.name, request);
        if (options.json === true)
          writeJson(io, {
            command: 'retry',
            ok: true,
            plan: plan.name,
            run: {
              workflowId: run.workflowId,
              runId: run.runId,
              webUi: runLink(settings.webUi, run.namespace, run) ?? null,
            },
            vms,
          });
        else
          io.out(
            `${run.workflowId} goes on${vms.length === 0 ? '' : ` with ${vms.join(', ')}`}. To follow it: lifeboat ${run.type} ${argument}\n`,
          );
      } finally {
        await client.close();
      }
    });
}
