import { type ChildProcess, spawn } from 'node:child_process';
import { openSync, closeSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

/** A process that is started again when it dies, as systemd or a compose file would. */
export interface ProcessSpec {
  name: string;
  command: string;
  args: string[];
  env: Record<string, string>;
  /** File that gets its output. */
  log: string;
}

export interface ProcessReport {
  name: string;
  pid: number | undefined;
  restarts: number;
}

/** As systemd's RestartSec: long enough that a process that cannot start does not spin, short against any timeout. */
const RESTART_DELAY_MILLISECONDS = 1000;
/** A process that has not gone by then after SIGTERM is killed; a worker's own shutdown grace is shorter. */
const STOP_GRACE_MILLISECONDS = 15_000;

export class Supervised {
  private child: ChildProcess | undefined;
  private stopping = false;
  private restarts = 0;
  private ended: Promise<void> = Promise.resolve();

  constructor(
    private readonly spec: ProcessSpec,
    private readonly onChange: () => void,
  ) {}

  get report(): ProcessReport {
    return { name: this.spec.name, pid: this.child?.pid, restarts: this.restarts };
  }

  start(): void {
    const log = openSync(this.spec.log, 'a');
    const child = spawn(this.spec.command, this.spec.args, {
      env: { ...process.env, ...this.spec.env },
      stdio: ['ignore', log, log],
    });
    closeSync(log);
    this.child = child;
    this.ended = new Promise((resolve) => {
      const gone = (): void => {
        this.child = undefined;
        resolve();
        if (!this.stopping) void this.restart();
      };
      child.once('exit', gone);
      child.once('error', gone);
    });
    this.onChange();
  }

  private async restart(): Promise<void> {
    this.onChange();
    await sleep(RESTART_DELAY_MILLISECONDS);
    if (this.stopping) return;
    this.restarts++;
    this.start();
  }

  /** Ends the process for good. */
  async stop(): Promise<void> {
    this.stopping = true;
    const child = this.child;
    if (!child) return;
    child.kill('SIGTERM');
    const killer = setTimeout(() => child.kill('SIGKILL'), STOP_GRACE_MILLISECONDS);
    await this.ended;
    clearTimeout(killer);
  }
}
