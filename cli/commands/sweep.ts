import { Command, InvalidArgumentError } from 'commander';
import { awsClients } from '../../activities/aws-proxy/account/clients';
import { type Leftover } from '../../activities/aws-proxy/account/leftovers';
import { type LockedLeftover } from '../../activities/aws-proxy/account/locked-leftovers';
import { awsCaller } from '../../client/caller';
import { lifeboatClient } from '../../client/client';
import { CLIENT_ATTEMPTS } from '../../client/repository';
import { planSweep, sweep, SWEEP_AGE_MINUTES } from '../../client/sweep';
import { whoAmI } from '../../client/who-am-i';
import { type CliContext, writeJson } from '../io';
import { findPlan } from '../plan-argument';
import { siteSettings } from '../run-command';
import { tableText } from '../table';

interface Options {
  dryRun?: boolean;
  olderThan: number;
  keptTests?: boolean;
  json?: boolean;
}

/** `sweep PLAN`: removes from the account what Lifeboat made and no run and no DR copy needs. */
export function sweepCommand({ io }: CliContext): Command {
  return new Command('sweep')
    .description('remove from the account what Lifeboat made for the plan and nothing needs any more')
    .argument('<plan>', 'path of a plan file, or name of a published plan')
    .option('--dry-run', 'show it, with what it costs, and remove nothing')
    .option('--older-than <minutes>', 'leave alone what is younger', minutes, SWEEP_AGE_MINUTES)
    .option(
      '--kept-tests',
      'also tests that are kept, before their time is over, of runs that Temporal does not know',
    )
    .option('--json', 'write one JSON document to stdout')
    .action(async (argument: string, options: Options) => {
      const settings = siteSettings(io);
      const { plan, store } = await findPlan(argument, settings, io.cwd);
      const as = await awsCaller(plan.recoverySite.region);
      const { ec2 } = awsClients({ region: plan.recoverySite.region, maxAttempts: CLIENT_ATTEMPTS });
      const client = await lifeboatClient({ ignoreConfigurationFile: settings.sandboxFile !== undefined });
      try {
        const site = { ec2, store, temporal: client.temporal };
        const planned = await planSweep(plan.name, site, options.olderThan, options);
        if (options.json !== true)
          io.out(leftoversText(plan.name, planned.leftovers) + lockedText(planned.locked));
        const removed =
          options.dryRun === true || planned.leftovers.length === 0 ? [] : await sweep(planned, site);
        if (options.json === true)
          writeJson(io, {
            command: 'sweep',
            ok: true,
            plan: plan.name,
            askedBy: { by: whoAmI(), as: as ?? null },
            dryRun: options.dryRun === true,
            leftovers: planned.leftovers.map((one) => ({
              ...one,
              createdAt: one.createdAt ?? null,
              monthlyCost: one.monthlyCost ?? null,
            })),
            locked: planned.locked.map((one) => ({ ...one, until: one.until ?? null })),
            removed,
          });
        else if (removed.length > 0)
          io.out(`Removed${as === undefined ? '' : ` as ${as}`}: ${removed.join(', ')}\n`);
      } finally {
        await client.close();
      }
    });
}

function minutes(text: string): number {
  const value = Number(text);
  if (text === '' || !Number.isFinite(value) || value < 0)
    throw new InvalidArgumentError('It must be a number of minutes.');
  return value;
}

const dollars = (cost: number | undefined): string => (cost === undefined ? 'unknown' : cost.toFixed(2));

/** A table of what is left, with the sum of what is known of its cost. */
export function leftoversText(plan: string, leftovers: Leftover[]): string {
  if (leftovers.length === 0) return `The plan ${plan} has nothing in the account that nobody needs.\n`;
  const sum = leftovers.reduce((total, { monthlyCost }) => total + (monthlyCost ?? 0), 0);
  const unknown = leftovers.some(({ monthlyCost }) => monthlyCost === undefined);
  return (
    tableText(
      ['what', 'id', 'VM', 'state', 'since', 'why', '$ a month'],
      leftovers.map(({ kind, id, vm, state, createdAt, reason, monthlyCost }) => [
        kind,
        id,
        vm,
        state,
        createdAt ?? '',
        reason,
        dollars(monthlyCost),
      ]),
    ) +
    `Together at most ${dollars(sum)} $ a month${unknown ? ', and what is unknown' : ''}, by the list prices of us-east-1.\n`
  );
}

/** Snapshots that are replaced and locked; those of one DR copy, which end within seconds, on one line. */
export function lockedText(locked: LockedLeftover[]): string {
  const minuteOf = (until: string | undefined): string => until?.slice(0, 16) ?? '';
  return [...Map.groupBy(locked, ({ vm, until }) => `${vm} ${minuteOf(until)}`).values()]
    .map((together) => {
      const [first] = together;
      const end =
        together
          .map(({ until }) => until ?? '')
          .sort()
          .at(-1) || 'its lock ends';
      return `${first?.vm}: ${together.map(({ id }) => id).join(', ')} locked, and not needed any more: goes after ${end}.\n`;
    })
    .join('');
}
