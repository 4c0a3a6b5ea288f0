import { join } from 'node:path';
import { Command } from 'commander';
import type * as lifecycleModule from '../../sandbox/lifecycle';
import { type CliContext, writeJson } from '../io';
import { CliError, EXIT } from '../exit-codes';
import { lazyModule } from '../lazy-module';
import { type SandboxFile, shellSettings } from '../settings';
import { tableText } from '../table';

type Lifecycle = typeof lifecycleModule;

const lifecycle = (): Lifecycle =>
  // eslint-disable-next-line @typescript-eslint/no-require-imports -- see lazyModule
  lazyModule('sandbox', () => require('../../sandbox/lifecycle') as Lifecycle);

/** `sandbox up|down|status|env`: both sites, Temporal and the workers on this machine. */
export function sandboxCommand({ io }: CliContext): Command {
  const sandbox = new Command('sandbox').description('both sites, Temporal and the workers on this machine');
  const log = (line: string): void => io.err(`${line}\n`);

  subcommand('up', 'bring it up; what is up already stays').action(async (options: { json?: boolean }) => {
    const services = await lifecycle().sandboxUp({}, log);
    if (options.json === true) {
      // Credentials stay in the file: they are of use on this machine only, but documents get copied about.
      const { aws, temporal, dns, datacenter, repository } = services;
      const document = {
        aws: { endpoint: aws.endpoint, region: aws.region },
        temporal,
        dns,
        datacenter,
        repository,
      };
      writeJson(io, { command: 'sandbox up', ok: true, services: document });
    } else {
      io.out(`The sandbox is up. Temporal's Web UI: ${services.temporal.ui}\n`);
    }
  });

  subcommand('down', 'stop everything of it')
    .option('--forget', 'and delete its data')
    .action(async (options: { json?: boolean; forget?: boolean }) => {
      await lifecycle().sandboxDown({ forget: options.forget === true }, log);
      if (options.json === true) writeJson(io, { command: 'sandbox down', ok: true });
      else io.out('The sandbox is down.\n');
    });

  subcommand('status', 'show what of it runs').action(async (options: { json?: boolean }) => {
    const { up, directory, processes, services } = await lifecycle().sandboxStatus();
    if (options.json === true) {
      writeJson(io, {
        command: 'sandbox status',
        ok: true,
        up,
        directory,
        webUi: services?.temporal.ui ?? null,
        processes: processes.map(({ name, pid, running }) => ({ name, pid: pid ?? null, running })),
      });
      return;
    }
    io.out(
      services === undefined
        ? 'The sandbox is down.\n'
        : `The sandbox is up.\n${tableText(['what', 'where'], placesOf(services))}`,
    );
    if (processes.length > 0)
      io.out(
        tableText(
          ['process', 'pid', 'state'],
          processes.map(({ name, pid, running }) => [
            name,
            String(pid ?? ''),
            running ? 'running' : 'not running',
          ]),
        ),
      );
  });

  sandbox
    .command('env')
    .description('write its settings for AWS clients and Temporal\'s CLI: eval "$(npx lifeboat sandbox env)"')
    .action(async () => {
      const { services } = await lifecycle().sandboxStatus();
      if (services === undefined)
        throw new CliError('The sandbox is down; run "npx lifeboat sandbox up" first.', EXIT.cannotConnect);
      io.out(shellSettings(services));
    });
  return sandbox;

  function subcommand(name: string, description: string): Command {
    return sandbox
      .command(name)
      .description(description)
      .option('--json', 'write one JSON document to stdout');
  }
}

/** What a person can look at. */
const placesOf = ({ temporal, aws, dns, datacenter, metrics = {} }: SandboxFile): string[][] => [
  ["Temporal's Web UI", temporal.ui],
  ['AWS endpoint', aws.endpoint],
  ['name server', dns.address],
  ['VMs of the data centre', join(datacenter.directory, 'vms')],
  ...Object.entries(metrics).map(([role, url]) => [`metrics of ${role}`, url]),
];
