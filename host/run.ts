import { execFile } from 'node:child_process';

/** A command that ended with an error; the message holds what it wrote to stderr. */
export class CommandError extends Error {
  constructor(
    readonly command: string,
    readonly exitCode: number | string | undefined,
    readonly stderr: string,
  ) {
    super(`"${command}" failed (${exitCode ?? 'killed'}): ${stderr.trim() || 'no message'}`);
    this.name = 'CommandError';
  }
}

/**
 * Runs a command without a shell and returns its standard output.
 * @throws CommandError, also when it takes longer than `timeoutMilliseconds`
 */
export function run(command: string, args: readonly string[], timeoutMilliseconds = 60_000): Promise<string> {
  return new Promise((resolve, reject) => {
    execFile(
      command,
      args,
      { timeout: timeoutMilliseconds, maxBuffer: 16 * 1024 * 1024, encoding: 'utf8' },
      (error, stdout, stderr) => {
        if (!error) return resolve(stdout);
        const reason =
          stderr || (error.killed ? `took longer than ${timeoutMilliseconds} ms` : error.message);
        reject(new CommandError([command, ...args].join(' '), error.code ?? undefined, reason));
      },
    );
  });
}
