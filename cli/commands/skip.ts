import { type Command, Option } from 'commander';
import { decide, decidingCommand, type DecidingOptions } from '../deciding';
import { type CliContext } from '../io';

interface Options extends DecidingOptions {
  vm: string;
  withDependents?: boolean;
  startDependents?: boolean;
}

/** `skip PLAN --vm NAME`: a failover goes on without a VM. */
export function skipCommand(context: CliContext): Command {
  return decidingCommand(
    'skip',
    'let a failover go on without a VM that does not run yet; what was made for it is removed',
  )
    .requiredOption('--vm <name>', 'the VM')
    .addOption(
      new Option('--with-dependents', 'also without those that depend on it').conflicts('startDependents'),
    )
    .option('--start-dependents', 'those that depend on it start without it')
    .action(
      (argument: string, { vm, withDependents, startDependents, by, reason: why, test, json }: Options) =>
        decide(context, 'skip', argument, { json }, async ({ decisions }, plan, asker) => {
          const dependents =
            withDependents === true ? 'skip' : startDependents === true ? 'start' : undefined;
          const { run, skipped, startWithout } = await decisions.skip(
            plan,
            { vm, by, ...asker, why, ...(dependents === undefined ? {} : { dependents }) },
            { test },
          );
          const others =
            startWithout.length === 0 ? '' : ` ${startWithout.join(', ')} will start without it.`;
          const text = `${run.workflowId} goes on without ${skipped.join(', ')}; what was made for it is being removed.${others}`;
          return { run, text, more: { skipped, startWithout } };
        }),
    );
}
