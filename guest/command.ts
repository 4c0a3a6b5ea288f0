import { execFile } from 'node:child_process';

export interface CommandResult {
  exitCode: number;
  stdout: Buffer;
  stderr: string;
}

/** What a tool may print: far more than any tool here has to say, and far less than would hurt this process. */
const MAX_OUTPUT_BYTES = 64 * 1024 * 1024;

/** A tool that this host lacks; the message names its package. */
export class ToolMissingError extends Error {
  constructor(tool: string) {
    super(
      `This host has no "${tool}". Install it (Debian, Ubuntu: apt-get install ${TOOL_PACKAGES[tool] ?? tool}).`,
    );
    this.name = 'ToolMissingError';
  }
}

const TOOL_PACKAGES: Record<string, string> = {
  debugfs: 'e2fsprogs',
  e2fsck: 'e2fsprogs',
  blkid: 'util-linux',
  sfdisk: 'fdisk',
  xz: 'xz-utils',
  mdir: 'mtools',
  mcopy: 'mtools',
  mmd: 'mtools',
  mdel: 'mtools',
  mrd: 'mtools',
  hivexregedit: 'libwin-hivex-perl',
  prlimit: 'util-linux',
  setpriv: 'util-linux',
};

/**
 * Runs a tool without a shell and returns what it printed, whatever its exit code.
 * @throws ToolMissingError where it is not installed
 * @throws Error where it was killed, by `timeoutSeconds` or for printing too much
 */
export function runCommand(
  command: string,
  args: string[],
  options: {
    timeoutSeconds: number;
    input?: Uint8Array;
    environment?: Record<string, string>;
    maxOutputBytes?: number;
  },
): Promise<CommandResult> {
  return new Promise((resolve, reject) => {
    const child = execFile(
      command,
      args,
      {
        encoding: 'buffer',
        timeout: options.timeoutSeconds * 1000,
        killSignal: 'SIGKILL',
        maxBuffer: options.maxOutputBytes ?? MAX_OUTPUT_BYTES,
        // Messages are matched and shown: they shall not depend on the host's language.
        env: { ...process.env, LC_ALL: 'C', ...options.environment },
      },
      (error, stdout, stderr) => {
        const result = { stdout, stderr: stderr.toString('latin1') };
        if (error === null) return resolve({ exitCode: 0, ...result });
        if (typeof error.code === 'number') return resolve({ exitCode: error.code, ...result });
        if (error.code === 'ENOENT') return reject(new ToolMissingError(command));
        reject(
          new Error(`${command} ${args.join(' ')}: ${error.killed ? 'killed' : error.message}`, {
            cause: error,
          }),
        );
      },
    );
    // A tool that ends before it has read its input is judged by its exit code, not by the broken pipe.
    child.stdin?.on('error', () => undefined);
    child.stdin?.end(options.input);
  });
}
