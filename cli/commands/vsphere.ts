import { Command } from 'commander';
import { type Finding } from '../../hypervisor/vsphere/check/findings';
import { type VsphereSettings } from '../../hypervisor/vsphere/settings';
import { CliError, EXIT } from '../exit-codes';
import { type CliContext, type CliIo, writeJson } from '../io';
import { lazyModule } from '../lazy-module';
import { stateDirectory, vsphereSource } from '../settings';
import type * as vsphereModule from '../../hypervisor/vsphere';

interface Options {
  settings?: string;
  withATestVm?: boolean;
  json?: boolean;
}

export function vsphereCommand(context: CliContext): Command {
  return new Command('vsphere')
    .description('what concerns a vCenter as the primary site')
    .addCommand(checkCommand(context));
}

/** `vsphere check`: whether a vCenter, its proxy and the account are as they have to be. */
function checkCommand({ io, exit }: CliContext): Command {
  return new Command('check')
    .description('look whether a vCenter lets VMs be backed up and brought home; changes nothing')
    .argument('[vm...]', 'VMs that are to be protected, as the plan calls them for the data centre')
    .option('--settings <file>', 'settings of the vCenter; where left out, those of LIFEBOAT_HYPERVISOR')
    .option('--with-a-test-vm', 'also make a small VM, back it up, and remove it again')
    .option('--json', 'write one JSON document to stdout')
    .action(async (vms: string[], options: Options) => {
      const findings = await check(io, vms, options);
      const ok = findings.every(({ level }) => level !== 'problem');
      if (options.json === true)
        writeJson(io, {
          command: 'vsphere check',
          ok,
          findings: findings.map(({ level, object, text }) => ({ level, object, text })),
        });
      else io.out(`${findings.map(line).join('')}${ok ? 'Nothing is in the way.\n' : ''}`);
      if (!ok) exit(EXIT.failed);
    });
}

async function check(io: CliIo, vms: string[], options: Options): Promise<Finding[]> {
  const vsphere = lazyModule(
    'adapter for vSphere',
    // eslint-disable-next-line @typescript-eslint/no-require-imports -- see lazyModule
    () => require('../../hypervisor/vsphere') as typeof vsphereModule,
  );
  try {
    const settings: VsphereSettings = vsphere.readVsphereSettings(options.settings ?? vsphereSource(io.env));
    const site = vsphere.vsphereSite(settings, stateDirectory(io.env));
    try {
      const findings = await vsphere.checkVcenter(site, vms);
      if (options.withATestVm !== true || findings.some(({ level }) => level === 'problem')) return findings;
      return [...findings, ...(await vsphere.tryWithTestVm(site, vsphere.hypervisorOf(site)))];
    } finally {
      await site.client.close();
    }
  } catch (cause) {
    if (!(cause instanceof vsphere.VsphereSettingsError)) throw cause;
    throw new CliError(cause.message, EXIT.badInput, {}, { cause });
  }
}

const SIGNS: Record<Finding['level'], string> = { ok: 'ok      ', note: 'note    ', problem: 'PROBLEM ' };

function line({ level, object, text }: Finding): string {
  return `${SIGNS[level]} ${object}: ${text}\n`;
}
