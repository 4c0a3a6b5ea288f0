import { Command } from 'commander';
import { type RetryRequest } from '../../workflows/run/messages';
import { decide } from '../deciding';
import { type CliContext } from '../io';

interface Options {
  vm?: string;
  instanceType?: string[];
  json?: boolean;
}

/** `retry PLAN`: a person has mended what a failover or failback waits for. */
export function retryCommand(context: CliContext): Command {
  return new Command('retry')
    .description('go on with a failover or failback that waits for a person, who has mended what was wrong')
    .argument('<plan>', 'path of a plan file, or name of a published plan')
    .option('--vm <name>', 'this VM only')
    .option('--instance-type <types...>', 'other instance types for that VM, in order of preference')
    .option('--json', 'write one JSON document to stdout')
    .action((argument: string, { vm, instanceType, ...options }: Options) =>
      decide(context, 'retry', argument, options, async (client, plan) => {
        const request: RetryRequest = { vm, instanceTypes: instanceType };
        const { run, vms } = await client.retry(plan, request);
        const goingOn = vms.length === 0 ? '' : ` with ${vms.join(', ')}`;
        const follow = `lifeboat ${run.type} ${argument}`;
        return {
          run,
          text: `${run.workflowId} goes on${goingOn}. To follow it: ${follow}`,
          more: { vms },
        };
      }),
    );
}
