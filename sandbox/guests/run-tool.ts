import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

const execute = promisify(execFile);

/** A program of the build that failed; the message holds its last lines of output. */
export class ToolFailedError extends Error {
  constructor(program: string, args: string[], output: string, cause: unknown) {
    const lastLines = output.trim().split('\n').slice(-15).join('\n');
    super(`${program} ${args.join(' ')} failed:\n${lastLines}`, { cause });
    this.name = 'ToolFailedError';
  }
}

/**
 * Runs a program and returns what it wrote to its standard output.
 * @throws ToolFailedError
 */
export async function runTool(
  program: string,
  args: string[],
  options: { env?: NodeJS.ProcessEnv; cwd?: string } = {},
): Promise<string> {
  try {
    // C.UTF-8: messages and sort orders do not depend on the host's language.
    const env = { ...process.env, LC_ALL: 'C.UTF-8', ...options.env };
    const { stdout } = await execute(program, args, { ...options, env, maxBuffer: 64 * 1024 * 1024 });
    return stdout;
  } catch (error) {
    const {
      stderr = '',
      stdout = '',
      message,
    } = error as { stderr?: string; stdout?: string; message: string };
    throw new ToolFailedError(program, args, `${stdout}\n${stderr}`.trim() || message, error);
  }
}
