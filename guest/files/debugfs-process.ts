import { spawn, type ChildProcessWithoutNullStreams } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { ToolMissingError } from '../../host/run-tool';
import { toolEnvironment } from '../../host/tool-environment';
import { Turns } from './turns';

/** What one command may print. A directory with 100,000 names prints about 5 MiB. */
const MAX_OUTPUT_BYTES = 16 * 1024 * 1024;
/** Longest silence; the slowest command writes an initramfs of 512 MiB. */
const COMMAND_SECONDS = 300;

/** What a batch of commands printed. */
export interface DebugfsOutput {
  stdout: string;
  /** Empty where everything went well: `debugfs` says so nowhere else. */
  stderr: string;
}

/**
 * One `debugfs` process, given commands line by line (`-f -`). The end of a command's output is found by two lines that no file
 * can forge, as they hold a random number: a comment, which debugfs repeats on stdout, and an unknown command, which it complains
 * of on stderr.
 */
export class DebugfsProcess {
  private stdout = '';
  private stderr = '';
  private waiting: { resolve: () => void; reject: (error: Error) => void } | undefined;
  private failure: Error | undefined;
  private count = 0;
  private readonly turns = new Turns();
  private readonly nonce = randomBytes(12).toString('hex');
  private readonly child: ChildProcessWithoutNullStreams;
  private readonly closed: Promise<void>;
  /** What it has open, for messages. */
  device = 'nothing';

  constructor() {
    this.child = spawn('debugfs', ['-f', '-'], { env: toolEnvironment() });
    const { child } = this;
    child.stdout.setEncoding('latin1').on('data', (text: string) => this.receive('stdout', text));
    child.stderr.setEncoding('latin1').on('data', (text: string) => this.receive('stderr', text));
    // One that has ended is told by its end, not by the broken pipe.
    child.stdin.on('error', () => undefined);
    this.closed = new Promise((resolve) => {
      child.on('error', (error: NodeJS.ErrnoException) => {
        this.fail(error.code === 'ENOENT' ? new ToolMissingError('debugfs') : error);
        resolve();
      });
      child.on('close', () => {
        this.fail(new Error(`debugfs on ${this.device} ended early: ${this.stderr.trim()}`));
        resolve();
      });
    });
  }

  /** Whether it can be given commands no more. */
  get failed(): boolean {
    return this.failure !== undefined;
  }

  /** Runs commands, which must hold no line ends. Callers that come together have their turns. */
  run(commands: string[]): Promise<DebugfsOutput> {
    return this.turns.take(() => this.runNow(commands));
  }

  private async runNow(commands: string[]): Promise<DebugfsOutput> {
    const marker = `lifeboat-${this.nonce}-${++this.count}`;
    if (commands.some((command) => /[\r\n]/.test(command)))
      throw new Error('A debugfs command holds a line end.');
    if (this.failure) throw this.failure;
    const timer = setTimeout(() => this.kill(`no answer for ${COMMAND_SECONDS} s`), COMMAND_SECONDS * 1000);
    try {
      const done = new Promise<void>((resolve, reject) => (this.waiting = { resolve, reject }));
      this.child.stdin.write([...commands, `#${marker}`, marker, ''].join('\n'), 'latin1');
      this.receive('stdout', '');
      await done;
    } finally {
      clearTimeout(timer);
      this.waiting = undefined;
    }
    const [stdout, stderr] = [this.stdout, this.stderr];
    this.stdout = this.stderr = '';
    return {
      stdout: stdout.slice(0, stdout.indexOf(`#${marker}`)),
      // The prefix is what debugfs puts before its complaint.
      stderr: stderr.slice(0, stderr.indexOf(marker)).replace(/debugfs: Command not found $/, ''),
    };
  }

  /** Ends the process. What it has open is written back. */
  async end(): Promise<void> {
    this.child.stdin.end();
    await this.closed;
  }

  private receive(stream: 'stdout' | 'stderr', text: string): void {
    this[stream] += text;
    if (this[stream].length > MAX_OUTPUT_BYTES) return this.kill('it printed too much');
    const marker = `lifeboat-${this.nonce}-${this.count}`;
    // stdout has the marker twice: as the comment, and as the command that follows it.
    if (this.stdout.includes(`debugfs: ${marker}\n`) && this.stderr.includes(`${marker}\n`))
      this.waiting?.resolve();
  }

  private kill(reason: string): void {
    this.fail(new Error(`debugfs on ${this.device} was ended: ${reason}`));
    this.child.kill('SIGKILL');
  }

  private fail(error: Error): void {
    this.failure ??= error;
    this.waiting?.reject(this.failure);
  }
}
