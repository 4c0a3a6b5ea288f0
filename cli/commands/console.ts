import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { Command } from 'commander';
import { consoleLines } from '../../activities/console';
import {
  type KeptConsole,
  listConsoles,
  readConsoleOutput,
  readScreenshot,
} from '../../repository/plans/consoles';
import { type ObjectStore } from '../../repository/objects/object-store';
import { planNamePattern } from '../../plan/names';
import { printable } from '../../plan/printable';
import { CliError, EXIT } from '../exit-codes';
import { type CliContext, writeJson } from '../io';
import { findPlan } from '../plan-argument';
import { siteSettings } from '../run-command';

interface Options {
  json?: boolean;
  run?: string;
  out?: string;
}

/** `console PLAN VM`: what a VM's console showed in a failover, from the backup repository alone. */
export function consoleCommand({ io }: CliContext): Command {
  return new Command('console')
    .description("show what a VM's console showed in a failover, also one that did not get ready")
    .argument('<plan>', 'path of a plan file, or name of a published plan')
    .argument('<vm>', 'name of the VM; it need not be in the plan any more')
    .option('--run <id>', 'in this run; in the newest where it is absent')
    .option('--out <file>', "write the picture of the VM's screen (JPEG) there")
    .option('--json', 'write one JSON document to stdout')
    .action(async (argument: string, vm: string, options: Options) => {
      const { plan, store } = await findPlan(argument, siteSettings(io), io.cwd);
      const kept = await find(store, plan.name, vm, options.run);
      const lines =
        kept.output === undefined ? [] : consoleLines(await readConsoleOutput(store, kept.output));
      if (options.out !== undefined) {
        if (kept.screenshot === undefined)
          throw new CliError(
            `There is no picture of the screen of ${vm} in the run ${kept.runId}.`,
            EXIT.badInput,
          );
        await writeFile(path.resolve(io.cwd, options.out), await readScreenshot(store, kept.screenshot));
      }
      if (options.json === true) writeJson(io, consoleDocument(plan.name, vm, kept, options.out, lines));
      else io.out(consoleText(vm, kept, options.out, lines));
    });
}

async function find(
  store: ObjectStore,
  plan: string,
  vm: string,
  run: string | undefined,
): Promise<KeptConsole> {
  if (!planNamePattern.test(vm))
    throw new CliError(`"${vm}" is no name that a VM of a plan can have.`, EXIT.badInput);
  const all = await listConsoles(store, plan, vm);
  const found = all.find(({ runId }) => run === undefined || runId === run);
  if (found !== undefined) return found;
  const which = run === undefined ? 'any failover' : `the run "${run}"`;
  const others =
    all.length === 0 ? '' : ` It has those of the runs ${all.map(({ runId }) => runId).join(', ')}.`;
  throw new CliError(
    `The backup repository has nothing of the console of ${vm} in ${which} of the plan ${plan}.${others}`,
    EXIT.badInput,
  );
}

/** The document of `console --json`. */
function consoleDocument(
  plan: string,
  vm: string,
  { runId, outcome, at, screenshot, output }: KeptConsole,
  out: string | undefined,
  lines: string[],
): object {
  return {
    command: 'console',
    ok: true,
    plan,
    vm,
    runId,
    ready: outcome === 'ready',
    keptAt: at.toISOString(),
    screenshot: screenshot ?? null,
    output: output ?? null,
    out: out ?? null,
    lines,
  };
}

function consoleText(
  vm: string,
  { runId, outcome, at, screenshot }: KeptConsole,
  out: string | undefined,
  lines: string[],
): string {
  const picture =
    screenshot === undefined
      ? 'There is no picture of its screen.'
      : out === undefined
        ? `Its screen: ${screenshot} (--out FILE.jpg writes it to a file).`
        : `Its screen is in ${out}.`;
  return (
    `${vm}: ${outcome === 'ready' ? 'ready' : 'not ready'} in the run ${printable(runId)}, kept at ${at.toISOString()}.\n` +
    `${picture}\n` +
    (lines.length === 0 ? 'Its serial console was empty.\n' : `${lines.map(printable).join('\n')}\n`)
  );
}
