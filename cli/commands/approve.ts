import { type Command, InvalidArgumentError, Option } from 'commander';
import { decide, decidingCommand, type DecidingOptions } from '../deciding';
import { type CliContext } from '../io';

interface Options extends DecidingOptions {
  vm?: string;
  tier?: number;
  dns?: boolean;
  cutOver?: boolean;
}

/** `approve PLAN`: what the plan lets wait for a person goes on. */
export function approveCommand(context: CliContext): Command {
  return decidingCommand(
    'approve',
    'let a run go on with what waits for approval; which, where several things do',
  )
    .addOption(new Option('--vm <name>', 'start this VM').conflicts(['tier', 'dns', 'cutOver']))
    .addOption(
      new Option('--tier <number>', 'start this tier of the start order')
        .argParser(tierNumber)
        .conflicts(['dns', 'cutOver']),
    )
    .addOption(new Option('--dns', 'move the DNS records').conflicts('cutOver'))
    .option('--cut-over', 'of a failback: stop the instances, and go home')
    .action((argument: string, { vm, tier, dns, cutOver, by, reason: why, test, json }: Options) =>
      decide(context, 'approve', argument, { json }, async ({ decisions }, plan, asker) => {
        const { run, gate } = await decisions.approve(
          plan,
          { vm, tier, dns, cutOver, by, ...asker, why },
          { test },
        );
        return { run, text: `Approved: ${gate} of ${run.workflowId}.`, more: { gate } };
      }),
    );
}

function tierNumber(text: string): number {
  if (!/^[1-9]\d{0,5}$/.test(text))
    throw new InvalidArgumentError('It must be the number of a tier; the first is 1.');
  return Number(text);
}
