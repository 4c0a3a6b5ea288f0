import { DebugfsProcess, type DebugfsOutput } from './debugfs-process';
import { e2fsprogsTooOld, saysTooOld } from './e2fsprogs-version';

/**
 * Processes of `debugfs` that wait for their next file system. Work on one guest opens its file systems some twenty times, one
 * after the other; to start a process for each costs more than all that is done in it, as the system copies the tables of this
 * one's memory for it. For one guest only: a hostile file system shall not meet another guest's.
 */
export class DebugfsProcesses {
  private readonly all = new Set<DebugfsProcess>();
  private readonly idle: DebugfsProcess[] = [];

  /** Does the work with processes of its own, and ends them whatever happens. */
  static async during<T>(work: (processes: DebugfsProcesses) => Promise<T>): Promise<T> {
    const processes = new DebugfsProcesses();
    try {
      return await work(processes);
    } finally {
      // One that has something open, too: nobody has closed it.
      await Promise.all([...processes.all].map((one) => one.end()));
    }
  }

  take(): DebugfsProcess {
    for (let one = this.idle.pop(); one !== undefined; one = this.idle.pop()) if (!one.failed) return one;
    const started = new DebugfsProcess();
    this.all.add(started);
    return started;
  }

  /** @param process one that has nothing open */
  giveBack(process: DebugfsProcess): void {
    this.idle.push(process);
  }
}

/** One file system that is open in `debugfs`, which saves opening it for each command. */
export class DebugfsSession {
  private constructor(
    private readonly process: DebugfsProcess,
    private readonly device: string,
    private readonly processes: DebugfsProcesses | undefined,
  ) {}

  /**
   * @param device a path, with `?offset=` where the file system does not begin at its start
   * @param processes where its process is taken from and given back to; without them it has one of its own
   */
  static async open(
    device: string,
    writable: boolean,
    processes?: DebugfsProcesses,
  ): Promise<DebugfsSession> {
    const process = processes?.take() ?? new DebugfsProcess();
    process.device = device;
    // A file system that was copied while in use may have bitmaps that its journal has yet to put right; -c, which
    // is for reading only, leaves them out.
    const { stderr } = await process.run([`open ${writable ? '-w' : '-c'} ${quoted(device)}`]);
    // A new process has its banner first; an error to open the file system does not end debugfs.
    const problem = stderr.replace(/^debugfs \d.*\n?/, '').trim();
    if (problem !== '') {
      await process.end();
      if (saysTooOld(problem)) throw await e2fsprogsTooOld(device, problem);
      throw new Error(`debugfs cannot open ${device}: ${problem}`);
    }
    return new DebugfsSession(process, device, processes);
  }

  /** Runs commands, which must hold no line ends. Callers that come together have their turns. */
  run(commands: string[]): Promise<DebugfsOutput> {
    return this.process.run(commands);
  }

  /** Closes the file system, for which debugfs writes back what it holds. @throws Error where that fails */
  async close(): Promise<void> {
    const { process, device, processes } = this;
    // What went wrong was said where it did.
    if (process.failed) return process.end();
    const complaint = (await process.run(['close'])).stderr.trim();
    if (complaint === '' && processes !== undefined) return processes.giveBack(process);
    await process.end();
    if (complaint !== '') throw new Error(`debugfs cannot close ${device}: ${complaint}`);
  }
}

/** A word as debugfs reads it, byte for byte: commands are sent as Latin-1. */
function quoted(word: string): string {
  return `"${Buffer.from(word).toString('latin1').replaceAll('"', '""')}"`;
}
