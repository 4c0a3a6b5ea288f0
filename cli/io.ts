/** What the command has of the world around it; tests give it another one. */
export interface CliIo {
  /** Writes to stdout: results only. */
  out(text: string): void;
  /** Writes to stderr: progress, notes, errors. */
  err(text: string): void;
  /** Whether a person watches stderr, so that progress bars make sense. */
  stderrIsTty: boolean;
  /** Whether a person watches stdout; not where absent. */
  stdoutIsTty?: boolean;
  /** The process's environment. The sandbox's settings are put into it, where AWS's and Temporal's SDKs read them. */
  env: NodeJS.ProcessEnv;
  /** Working directory; relative paths start here. */
  cwd: string;
  /** Asks the person at the terminal for a line; absent where there is none. */
  ask?(question: string): Promise<string>;
  /** Calls back at Ctrl-C, once. @returns a function that stops listening */
  onInterrupt(callback: () => void): () => void;
}

/** What every command is built with. */
export interface CliContext {
  io: CliIo;
  /** A command's way to say how it ended. Without it, 0. */
  exit(code: number): void;
}

/** One JSON document on stdout: all that a command with --json writes there. */
export function writeJson(io: CliIo, document: object): void {
  io.out(`${JSON.stringify(document, null, 2)}\n`);
}
