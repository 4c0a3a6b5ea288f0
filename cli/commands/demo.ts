import { Command, Option } from 'commander';
import type * as demoModule from '../../sandbox/demo/run-demo';
import { EXIT } from '../exit-codes';
import { type CliContext, writeJson } from '../io';
import { lazyModule } from '../lazy-module';

type DemoModule = typeof demoModule;

interface DemoOptions {
  guests: 'shop' | 'all';
  dataCentre: 'local' | 'vsphere';
  keep?: boolean;
  json?: boolean;
}

export function demoCommand({ io, exit }: CliContext): Command {
  return new Command('demo')
    .description('protect, lose and bring home the sample application, in the sandbox')
    .addOption(
      new Option('--guests <which>', 'the VMs: the sample application’s, or those of other families, too')
        .choices(['shop', 'all'] as const)
        .default('shop' as const),
    )
    .addOption(
      new Option('--data-centre <which>', 'what runs the VMs: QEMU alone, or a simulated vCenter with it')
        .choices(['local', 'vsphere'] as const)
        .default('local' as const),
    )
    .option('--keep', 'leave the sandbox up at the end')
    .option('--json', 'write one JSON document to stdout')
    .action(async (options: DemoOptions) => {
      // eslint-disable-next-line @typescript-eslint/no-require-imports -- see lazyModule
      const { runDemo } = lazyModule('demo', () => require('../../sandbox/demo/run-demo') as DemoModule);
      const json = options.json === true;
      const { guests, dataCentre, keep = false } = options;
      const report = await runDemo({ guests, dataCentre, keep, json });
      if (json) writeJson(io, { command: 'demo', ...report });
      exit(report.ok ? EXIT.ok : EXIT.failed);
    });
}
