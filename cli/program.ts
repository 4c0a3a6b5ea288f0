import { Command, CommanderError } from 'commander';
import { withoutSecrets } from '../host/secrets';
import { printable } from '../plan/printable';
import type * as allCommandsModule from './all-commands';
import { versionText } from './commands/version';
import { workerCommand } from './commands/worker';
import { EXIT } from './exit-codes';
import { explainError } from './explain-error';
import { type CliContext, type CliIo, writeJson } from './io';

type MakeCommand = (context: CliContext) => Command;

/**
 * The commands that a command line may be of. A worker runs for months: what only the other commands need, AWS's client for EC2 for one,
 * would stay in its memory.
 */
function commandsFor([first]: readonly string[]): readonly MakeCommand[] {
  if (first === 'worker') return [workerCommand];
  // eslint-disable-next-line @typescript-eslint/no-require-imports -- see cli/lazy-module.ts
  return (require('./all-commands') as typeof allCommandsModule).COMMANDS;
}

/**
 * The `lifeboat` command line. Parsing throws commander's errors instead of ending the process.
 * @param argv what is to be parsed; where absent, it has every command
 */
export function buildProgram(context: CliContext, argv: readonly string[] = []): Command {
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
  for (const build of commandsFor(argv)) program.addCommand(build(context));
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
  const program = buildProgram({ io, exit: (code) => (exitCode = code) }, argv);
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
