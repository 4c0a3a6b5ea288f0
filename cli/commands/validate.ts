import { Command } from 'commander';
import path from 'node:path';
import { loadPlanFile } from '../../plan/load';
import { startOrder } from '../../plan/order';
import { printable } from '../../plan/printable';
import { bothNames, primaryNameOf } from '../../plan/primary-vm';
import { planDigest } from '../../repository/plans/plans';
import { awsClients } from '../../activities/aws-proxy/account/clients';
import { type ProposedTypes, proposedTypes } from '../../client/proposed-types';
import { CLIENT_ATTEMPTS, openRepository, repositoryOf } from '../../client/repository';
import { type DrPlan } from '../../plan/schema';
import { type CliContext, type CliIo, writeJson } from '../io';
import { bytesText } from '../numbers';
import { siteSettings } from '../run-command';
import { tableText } from '../table';

/** Checks a plan file without asking either site. */
export function validateCommand({ io }: CliContext): Command {
  return new Command('validate')
    .description('check a plan file, without asking either site; --types asks both')
    .argument('<plan>', 'path of a plan file')
    .option('--types', "propose instance types, by the CPUs and memory that the VMs' newest backups tell of")
    .option('--json', 'write one JSON document to stdout')
    .action(async (file: string, options: { json?: boolean; types?: boolean }) => {
      const { plan, scripts } = await loadPlanFile(
        path.relative(process.cwd(), path.resolve(io.cwd, file)) || file,
      );
      const order = startOrder(plan);
      const digest = planDigest(plan);
      const renamed = plan.vms.map(bothNames).filter((names) => primaryNameOf(names) !== names.vm);
      const types = options.types === true ? await typesFor(io, plan) : undefined;
      if (options.json === true) {
        writeJson(io, {
          command: 'validate',
          ok: true,
          plan: plan.name,
          digest,
          startOrder: order,
          primaryVms: Object.fromEntries(plan.vms.map((vm) => [vm.name, primaryNameOf(bothNames(vm))])),
          bootScripts: scripts.map(({ name, sha256 }) => ({ name, sha256 })),
          ...(types === undefined ? {} : { instanceTypes: types.map((of) => ({ size: null, ...of })) }),
        });
        return;
      }
      io.out(`The plan "${plan.name}" is good (version ${digest.slice(0, 12)}).\n`);
      io.out(`Start order: ${order.map((wave) => wave.join(', ')).join(' → ')}\n`);
      for (const names of renamed)
        io.out(`${names.vm} is "${printable(primaryNameOf(names))}" at the primary site.\n`);
      if (types !== undefined) io.out(typesText(types));
    });
}

async function typesFor(io: CliIo, plan: DrPlan): Promise<ProposedTypes[]> {
  // Tells it where the site is the sandbox, and has its endpoint used.
  siteSettings(io);
  const { ec2 } = awsClients({ region: plan.recoverySite.region, maxAttempts: CLIENT_ATTEMPTS });
  try {
    return await proposedTypes(plan, { ec2, store: openRepository(repositoryOf(plan)) });
  } finally {
    ec2.destroy();
  }
}

const FITS = { true: '', false: ' (too small)', unknown: '' };

function typesText(types: ProposedTypes[]): string {
  return tableText(
    ['VM', 'at home', 'in the plan', 'proposed'],
    types.map(({ vm, size, planned, proposed }) => [
      vm,
      size === undefined
        ? 'never backed up'
        : `${size.cpus} CPU${size.cpus === 1 ? '' : 's'}, ${bytesText(size.memoryMiB * 2 ** 20)}`,
      planned.map(({ type, fits }) => `${type}${FITS[`${fits}`]}`).join(', '),
      size === undefined ? '' : proposed.join(', ') || 'none of c, m and r is large enough',
    ]),
  );
}
