import { execFile } from 'node:child_process';
import { toolEnvironment } from './tool-environment';

/** Running the tools of this host: without a shell, with a limit on time and output, whatever the host's language. */

export interface ToolOptions {
  /** Seconds after which the tool is killed (SIGKILL: what hangs may not heed less). */
  timeoutSeconds: number;
  /** What the tool reads from its standard input; nothing where absent. */
  input?: Uint8Array;
  /** Added to {@link toolEnvironment}. */
  environment?: Record<string, string>;
  /** Working directory; this process's where absent. */
  directory?: string;
  /** What the tool may print, on either output, before it is killed. */
  maxOutputBytes?: number;
}

export interface ToolResult {
  exitCode: number;
  stdout: Buffer;
  stderr: string;
}

/** What a tool may print: far more than any tool here has to say, and far less than would hurt this process. */
const MAX_OUTPUT_BYTES = 64 * 1024 * 1024;

/** For {@link toolOutput}: what is asked there answers at once, so a minute is already a host in trouble. */
const TIMEOUT_SECONDS = 60;

/** Lines at the end of what a failed tool printed that its error repeats. */
const SHOWN_LINES = 15;

/** Debian's packages of tools that are called otherwise than their package. */
const TOOL_PACKAGES: Record<string, string> = {
  blkid: 'util-linux',
  debugfs: 'e2fsprogs',
  dnsmasq: 'dnsmasq-base',
  e2fsck: 'e2fsprogs',
  fusermount3: 'fuse3',
  hivexregedit: 'libwin-hivex-perl',
  ip: 'iproute2',
  mcopy: 'mtools',
  mdel: 'mtools',
  mdir: 'mtools',
  mmd: 'mtools',
  mrd: 'mtools',
  nsenter: 'util-linux',
  prlimit: 'util-linux',
  'qemu-img': 'qemu-utils',
  'qemu-storage-daemon': 'qemu-system-common',
  'qemu-system-x86_64': 'qemu-system-x86',
  setpriv: 'util-linux',
  sfdisk: 'fdisk',
  umount: 'mount',
  xz: 'xz-utils',
};

/** A tool that this host lacks; the message names its package. */
export class ToolMissingError extends Error {
  constructor(tool: string) {
    super(
      `This host has no "${tool}". Install it (Debian, Ubuntu: apt-get install ${TOOL_PACKAGES[tool] ?? tool}).`,
    );
    this.name = 'ToolMissingError';
  }
}

/** A tool that ended with an error, or was killed; the message holds the end of what it said. */
export class ToolFailedError extends Error {
  constructor(
    readonly command: string,
    /** Absent where the tool was killed. */
    readonly exitCode: number | undefined,
    readonly stderr: string,
  ) {
    const said = stderr.trim().split('\n').slice(-SHOWN_LINES).join('\n');
    super(`"${command}" failed (${exitCode ?? 'killed'}): ${said || 'no message'}`);
    this.name = 'ToolFailedError';
  }
}

/**
 * Runs a tool and returns what it printed, whatever its exit code.
 * @throws ToolMissingError where it is not installed
 * @throws ToolFailedError where it was killed, for its time, for printing too much, or by somebody else
 */
export function runTool(tool: string, args: readonly string[], options: ToolOptions): Promise<ToolResult> {
  const { timeoutSeconds, environment, directory, maxOutputBytes = MAX_OUTPUT_BYTES } = options;
  return new Promise((resolve, reject) => {
    const child = execFile(
      tool,
      args,
      {
        encoding: 'buffer',
        timeout: timeoutSeconds * 1000,
        killSignal: 'SIGKILL',
        maxBuffer: maxOutputBytes,
        env: toolEnvironment(environment),
        ...(directory === undefined ? {} : { cwd: directory }),
      },
      (error, stdout, stderr) => {
        const result = { stdout, stderr: stderr.toString('latin1') };
        if (error === null) return resolve({ exitCode: 0, ...result });
        if (typeof error.code === 'number') return resolve({ exitCode: error.code, ...result });
        if (error.code === 'ENOENT') return reject(new ToolMissingError(tool));
        const why =
          error.code === 'ERR_CHILD_PROCESS_STDIO_MAXBUFFER'
            ? `printed more than ${maxOutputBytes} bytes`
            : error.killed
              ? `took longer than ${timeoutSeconds} seconds`
              : error.message;
        reject(new ToolFailedError(commandLine(tool, args), undefined, `${result.stderr}\n${why}`));
      },
    );
    // A tool that ends before it has read its input is judged by its exit code, not by the broken pipe.
    child.stdin?.on('error', () => undefined);
    child.stdin?.end(options.input);
  });
}

/**
 * Runs a tool that must succeed, and returns its standard output as text.
 * @throws ToolMissingError, ToolFailedError (also for any exit code but 0)
 */
export async function toolOutput(
  tool: string,
  args: readonly string[],
  options: Partial<ToolOptions> = {},
): Promise<string> {
  const { exitCode, stdout, stderr } = await runTool(tool, args, {
    timeoutSeconds: TIMEOUT_SECONDS,
    ...options,
  });
  // Some tools say on their standard output why they fail.
  if (exitCode !== 0)
    throw new ToolFailedError(commandLine(tool, args), exitCode, stderr || stdout.toString('latin1'));
  return stdout.toString('utf8');
}

function commandLine(tool: string, args: readonly string[]): string {
  return [tool, ...args].join(' ');
}
