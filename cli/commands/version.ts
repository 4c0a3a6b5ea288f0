import { Command } from 'commander';
import { lifeboatCommit, lifeboatVersion } from '../../host/version';
import { buildId } from '../../workers/build-id';
import { type CliContext, writeJson } from '../io';

/** `0.1.0+4d1f0c27b9e8`, and the commit where it is known. */
export function versionText(): string {
  const commit = lifeboatCommit();
  return `${buildId()}${commit === undefined ? '' : ` (commit ${commit})`}\n`;
}

/** `version`: what `--version` says, for machines, too. */
export function versionCommand({ io }: CliContext): Command {
  return new Command('version')
    .description('the version, the build and its commit')
    .option('--json', 'write one JSON document to stdout')
    .action(({ json }: { json?: boolean }) => {
      if (json !== true) return io.out(versionText());
      writeJson(io, {
        command: 'version',
        ok: true,
        version: lifeboatVersion(),
        build: buildId(),
        commit: lifeboatCommit() ?? null,
        node: process.version,
      });
    });
}
