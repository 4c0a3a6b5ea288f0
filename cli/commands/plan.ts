import path from 'node:path';
import { Command, Option } from 'commander';
import { planDiff, type PlanChange } from '../../plan/diff';
import { loadPlanFile } from '../../plan/load';
import { printable } from '../../plan/printable';
import { type DrPlan } from '../../plan/schema';
import { loadPlan, planDigest } from '../../repository/plans/plans';
import { readReadiness } from '../../repository/plans/readiness-record';
import { CliError, EXIT } from '../exit-codes';
import { type CliContext, writeJson } from '../io';
import { findPlan } from '../plan-argument';
import { siteSettings } from '../run-command';

interface DiffOptions {
  json?: boolean;
  since: 'test' | 'published';
}

/** `plan diff PLAN [FILE]`: what changed in a plan. Asks the repository only. */
export function planCommand(context: CliContext): Command {
  const plan = new Command('plan').description('look at the versions of a plan');
  plan.addCommand(diffCommand(context));
  return plan;
}

function diffCommand({ io, exit }: CliContext): Command {
  return new Command('diff')
    .description(
      'show what changed in a plan since its last good test failover; exit code 0: nothing, 1: something, as of diff',
    )
    .argument('<plan>', 'path of a plan file, or name of a published plan')
    .argument('[file]', 'path of a plan file to compare, instead of the plan itself')
    .addOption(
      new Option(
        '--since <version>',
        'what to compare with: the version that was tested, or the published one',
      )
        .choices(['test', 'published'])
        .default('test'),
    )
    .option('--json', 'write one JSON document to stdout')
    .action(async (argument: string, file: string | undefined, { json, since }: DiffOptions) => {
      const { plan, digest, store } = await findPlan(argument, siteSettings(io), io.cwd);
      const now = file === undefined ? { plan, digest } : await versionIn(file, plan.name, io.cwd);
      const lastTest = since === 'test' ? (await readReadiness(store, plan.name))?.lastTest : undefined;
      if (since === 'test' && lastTest === undefined)
        throw new CliError(
          `The plan ${plan.name} was never tested. To compare with the published version: --since published.`,
          EXIT.badInput,
        );
      const before = await loadPlan(store, plan.name, lastTest?.digest);
      const changes = planDiff(before.plan, now.plan);
      exit(changes.length === 0 ? EXIT.ok : EXIT.failed);
      if (json === true) {
        const from = { digest: before.digest, testedAt: lastTest?.testedAt ?? null };
        writeJson(io, {
          ...{ command: 'plan diff', ok: true, plan: plan.name, since, from, to: { digest: now.digest } },
          changes: changes.map((change) => ({ before: null, after: null, ...change })),
        });
        return;
      }
      const what =
        lastTest === undefined
          ? 'the published version'
          : `the version that was tested at ${lastTest.testedAt}`;
      const [from, to] = [before.digest, now.digest].map((one) => one.slice(0, 12));
      io.out(
        changes.length === 0
          ? `Nothing changed since ${what} (${from}).\n`
          : `Changed since ${what} (${from}, now ${to}):\n${changes.map(changeText).join('')}`,
      );
    });
}

/** @throws PlanError @throws CliError where it is another plan */
async function versionIn(file: string, name: string, cwd: string): Promise<{ plan: DrPlan; digest: string }> {
  const { plan } = await loadPlanFile(path.relative(process.cwd(), path.resolve(cwd, file)) || file);
  if (plan.name !== name)
    throw new CliError(`${file} is the plan "${plan.name}", not "${name}".`, EXIT.badInput);
  return { plan, digest: planDigest(plan) };
}

/** As `diff` and Terraform have it: + what came, - what went, ~ what is otherwise. */
function changeText(change: PlanChange): string {
  const { path: where, before, after } = change;
  const [sign, what] =
    before === undefined
      ? ['+', valueText(after)]
      : after === undefined
        ? ['-', valueText(before)]
        : ['~', `${valueText(before)} → ${valueText(after)}`];
  return `${sign} ${printable(`${where}: ${what}`)}\n`;
}

const valueText = (value: unknown): string => (typeof value === 'string' ? value : JSON.stringify(value));
