import { Argument, Command } from 'commander';
import { CliError, EXIT } from '../exit-codes';
import { type CliContext } from '../io';
import { lazyModule } from '../lazy-module';
import { siteSettings } from '../run-command';
import type * as workersModule from '../../workers/run';

const ROLES = ['control', 'aws-proxy', 'backup-proxy'] as const;
type Role = (typeof ROLES)[number];

/** `worker ROLE`: a worker in the foreground, for systemd, compose or a supervisor to keep up. */
export function workerCommand({ io }: CliContext): Command {
  return new Command('worker')
    .description('run a worker in the foreground; its settings are environment variables (docs/aws.md)')
    .addArgument(new Argument('<role>', 'which work to do').choices(ROLES))
    .action(async (role: Role) => {
      siteSettings(io);
      // eslint-disable-next-line @typescript-eslint/no-require-imports -- see lazyModule
      const { runWorker } = lazyModule('workers', () => require('../../workers/run') as typeof workersModule);
      try {
        await runWorker(role);
      } catch (cause) {
        if (!(cause instanceof Error) || cause.name !== 'SettingsError') throw cause;
        throw new CliError(cause.message, EXIT.badInput, {}, { cause });
      }
    });
}
