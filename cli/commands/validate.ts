import { Command } from 'commander';
import path from 'node:path';
import { loadPlanFile } from '../../plan/load';
import { startOrder } from '../../plan/order';
import { printable } from '../../plan/printable';
import { bothNames, primaryNameOf } from '../../plan/primary-vm';
import { planDigest } from '../../repository/plans/plans';
import { type CliContext, writeJson } from '../io';

/** Checks a plan file without asking either site. */
export function validateCommand({ io }: CliContext): Command {
  return new Command('validate')
    .description('check a plan file, without asking either site')
    .argument('<plan>', 'path of a plan file')
    .option('--json', 'write one JSON document to stdout')
    .action(async (file: string, options: { json?: boolean }) => {
      const { plan, scripts } = await loadPlanFile(
        path.relative(process.cwd(), path.resolve(io.cwd, file)) || file,
      );
      const order = startOrder(plan);
      const digest = planDigest(plan);
      const renamed = plan.vms.map(bothNames).filter((names) => primaryNameOf(names) !== names.vm);
      if (options.json === true) {
        writeJson(io, {
          command: 'validate',
          ok: true,
          plan: plan.name,
          digest,
          startOrder: order,
          primaryVms: Object.fromEntries(plan.vms.map((vm) => [vm.name, primaryNameOf(bothNames(vm))])),
          bootScripts: scripts.map(({ name, sha256 }) => ({ name, sha256 })),
        });
        return;
      }
      io.out(`The plan "${plan.name}" is good (version ${digest.slice(0, 12)}).\n`);
      io.out(`Start order: ${order.map((wave) => wave.join(', ')).join(' → ')}\n`);
      for (const names of renamed)
        io.out(`${names.vm} is "${printable(primaryNameOf(names))}" at the primary site.\n`);
    });
}
