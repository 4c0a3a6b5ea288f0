import { Argument, Command, Option } from 'commander';
import { lifeboatClient, type LifeboatClient } from '../../client/client';
import { DeploymentError, promoteVersion, workerVersions } from '../../client/worker-versions';
import { CliError, EXIT } from '../exit-codes';
import { type CliContext, type CliIo, writeJson } from '../io';
import { lazyModule } from '../lazy-module';
import { siteSettings } from '../run-command';
import { USUAL_DEPLOYMENT } from '../settings';
import { promotedText, workerVersionsText } from '../worker-versions-text';
import type * as workersModule from '../../workers/run';

const ROLES = ['control', 'aws-proxy', 'backup-proxy'] as const;
type Role = (typeof ROLES)[number];

interface Options {
  deployment?: string;
  json?: boolean;
}

/** `worker ROLE`: a worker in the foreground, for systemd, compose or a supervisor to keep up; and the versions of control workers. */
export function workerCommand(context: CliContext): Command {
  const { io } = context;
  const worker = new Command('worker')
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
  return worker.addCommand(versionsCommand(context)).addCommand(promoteCommand(context));
}

function versionsCommand({ io }: CliContext): Command {
  return withOptions(new Command('versions'))
    .description('list the versions of the control workers, and the runs that each is needed for')
    .action(async ({ deployment, json }: Options) => {
      await onDeployment(io, deployment, async (client, name) => {
        const found = await workerVersions(client.temporal, name);
        if (json !== true) return io.out(workerVersionsText(found));
        const versions = found.versions.map((version) => ({ ...version, since: version.since ?? null }));
        writeJson(io, {
          command: 'worker versions',
          ok: true,
          ...found,
          current: found.current ?? null,
          versions,
        });
      });
    });
}

function promoteCommand({ io }: CliContext): Command {
  return withOptions(new Command('promote'))
    .description(
      'make a version of the control workers the one that gets new runs, and all that are not pinned',
    )
    .argument('[build-id]', 'as lifeboat worker versions lists it')
    .option('--unversioned', 'workers that belong to no deployment, instead')
    .action(async (buildId: string | undefined, options: Options & { unversioned?: boolean }) => {
      if ((buildId === undefined) !== (options.unversioned === true))
        throw new CliError('Name a build id (lifeboat worker versions), or --unversioned.', EXIT.badInput);
      await onDeployment(io, options.deployment, async (client, deployment) => {
        const { previous } = await promoteVersion(client.temporal, deployment, buildId);
        if (options.json !== true) return io.out(promotedText(buildId, previous));
        const [current, before] = [buildId ?? null, previous ?? null];
        writeJson(io, { command: 'worker promote', ok: true, deployment, current, previous: before });
      });
    });
}

const withOptions = (command: Command): Command =>
  command
    .addOption(new Option('--deployment <name>', 'name of the deployment; LIFEBOAT_DEPLOYMENT, or lifeboat'))
    .option('--json', 'write one JSON document to stdout');

async function onDeployment(
  io: CliIo,
  named: string | undefined,
  use: (client: LifeboatClient, deployment: string) => Promise<void>,
): Promise<void> {
  const { sandboxFile, deployment } = siteSettings(io);
  const client = await lifeboatClient({ ignoreConfigurationFile: sandboxFile !== undefined });
  try {
    await use(client, named ?? deployment ?? USUAL_DEPLOYMENT);
  } catch (cause) {
    if (!(cause instanceof DeploymentError)) throw cause;
    throw new CliError(cause.message, EXIT.badInput, {}, { cause });
  } finally {
    await client.close();
  }
}
