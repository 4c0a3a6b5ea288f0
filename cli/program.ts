import { Command, CommanderError } from 'commander';
import { withoutSecrets } from '../host/secrets';
import { printable } from '../plan/printable';
import { approveCommand } from './commands/approve';
import { awsCommand } from './commands/aws';
import { backupCommand } from './commands/backup';
import { cancelCommand } from './commands/cancel';
import { checkCommand } from './commands/check';
import { codecCommand } from './commands/codec';
import { commitCommand } from './commands/commit';
import { consoleCommand } from './commands/console';
import { demoCommand } from './commands/demo';
import { dnsCommand } from './commands/dns';
import { evidenceCommand } from './commands/evidence';
import { failbackCommand } from './commands/failback';
import { failoverCommand } from './commands/failover';
import { fenceCommand } from './commands/fence';
import { notifyCommand } from './commands/notify';
import { pauseCommand, resumeCommand } from './commands/pause';
import { planCommand } from './commands/plan';
import { pointsCommand } from './commands/points';
import { repositoryCommand } from './commands/repository';
import { restoreCommand } from './commands/restore';
import { retryCommand } from './commands/retry';
import { sandboxCommand } from './commands/sandbox';
import { scheduleCommand } from './commands/schedule';
import { skipCommand } from './commands/skip';
import { statusCommand } from './commands/status';
import { sweepCommand } from './commands/sweep';
import { testCommand } from './commands/test';
import { undoCommand } from './commands/undo';
import { validateCommand } from './commands/validate';
import { verifyCommand } from './commands/verify';
import { versionCommand, versionText } from './commands/version';
import { vsphereCommand } from './commands/vsphere';
import { workerCommand } from './commands/worker';
import { EXIT } from './exit-codes';
import { explainError } from './explain-error';
import { type CliContext, type CliIo, writeJson } from './io';

const COMMANDS = [
  validateCommand,
  planCommand,
  checkCommand,
  backupCommand,
  restoreCommand,
  failoverCommand,
  failbackCommand,
  commitCommand,
  undoCommand,
  fenceCommand,
  retryCommand,
  approveCommand,
  pauseCommand,
  resumeCommand,
  skipCommand,
  cancelCommand,
  verifyCommand,
  dnsCommand,
  scheduleCommand,
  notifyCommand,
  testCommand,
  statusCommand,
  pointsCommand,
  consoleCommand,
  evidenceCommand,
  sweepCommand,
  repositoryCommand,
  vsphereCommand,
  awsCommand,
  workerCommand,
  codecCommand,
  sandboxCommand,
  demoCommand,
  versionCommand,
];

/** The `lifeboat` command line. Parsing throws commander's errors instead of ending the process. */
export function buildProgram(context: CliContext): Command {
  const program = new Command('lifeboat')
    .description('Disaster recovery of data-centre VMs to AWS')
    .option(
      '--version',
      'show the version: of the package, after the + of its workflows, and the commit where it is known',
    )
    // As commander's own, but read from the build when it is asked for.
    .on('option:version', () => {
      context.io.out(versionText());
      throw new CommanderError(EXIT.ok, 'commander.version', '');
    })
    .helpOption('--help', 'show how a command is used')
    .addHelpText(
      'after',
      '\nExit codes: 0 ok, 1 failed, 2 bad input, 3 cannot connect, 4 already running, 5 ready with warnings, 6 not ready, 7 done without some VMs, 8 done but a required hook failed, 130 detached.',
    );
  for (const build of COMMANDS) program.addCommand(build(context));
  prepare(program, context.io);
  return program;
}

/** Settings that subcommands built on their own do not inherit. */
function prepare(command: Command, io: CliIo): void {
  command
    .exitOverride()
    .showHelpAfterError(false)
    .configureOutput({ writeOut: (text) => io.out(text), writeErr: () => {} });
  for (const subcommand of command.commands) prepare(subcommand, io);
}

/**
 * Runs the command line.
 * @param argv arguments without node and script
 * @returns the exit code
 */
export async function runCli(argv: readonly string[], io: CliIo): Promise<number> {
  let exitCode: number = EXIT.ok;
  const program = buildProgram({ io, exit: (code) => (exitCode = code) });
  try {
    await program.parseAsync([...argv], { from: 'user' });
    return exitCode;
  } catch (error) {
    if (error instanceof CommanderError && error.exitCode === 0) return EXIT.ok;
    return tellError(argv, io, error);
  }
}

function tellError(argv: readonly string[], io: CliIo, error: unknown): number {
  const usage = error instanceof CommanderError;
  const { message, exitCode, details } = usage
    ? { message: usageMessage(error), exitCode: EXIT.badInput, details: {} }
    : explainError(error);
  const sentence = printable(withoutSecrets(message, io.env));
  io.err(`lifeboat: ${sentence}\n`);
  if (io.env.LIFEBOAT_DEBUG === '1') io.err(`${withoutSecrets(stackOf(error), io.env)}\n`);
  if (argv.includes('--json'))
    writeJson(io, {
      command: commandOf(argv),
      ok: false,
      exitCode,
      error: { message: sentence, ...details },
    });
  return exitCode;
}

function usageMessage({ message, code }: CommanderError): string {
  // Called without a command, commander would show its help as an error.
  if (code === 'commander.help') return 'which command? See: lifeboat --help';
  return `${message.replace(/^error: /, '').replace(/\.?\s*$/, '')}. See: lifeboat --help`;
}

const COMMAND_NAMES = new Set([
  ...['schedule', 'sandbox', 'repository', 'vsphere', 'aws', 'dns', 'plan', 'test', 'evidence', 'worker'],
]);

/** The command's name for the JSON document, such as `schedule show`. */
function commandOf(argv: readonly string[]): string | null {
  const [name, sub] = argv.filter((argument) => !argument.startsWith('-'));
  if (name === undefined) return null;
  return COMMAND_NAMES.has(name) && sub !== undefined ? `${name} ${sub}` : name;
}

function stackOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.cause === undefined
    ? (error.stack ?? error.message)
    : `${error.stack}\ncaused by ${stackOf(error.cause)}`;
}
