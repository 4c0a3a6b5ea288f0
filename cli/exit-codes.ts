/** Exit codes of the `lifeboat` command; documented in docs/cli.md, and never given another meaning. */
export const EXIT = {
  ok: 0,
  /** The run did not complete; or, for commands without a run, the thing itself failed. */
  failed: 1,
  /** The command line, a setting, the plan, or what the plan names is wrong: somebody has to change something. */
  badInput: 2,
  /** Temporal or AWS does not answer, or does not let us in. */
  cannotConnect: 3,
  /** Another run of this kind is under way for the plan. */
  alreadyRunning: 4,
  /** A check found what does not keep a failover from succeeding. */
  readyWithWarnings: 5,
  /** A check found what keeps a failover from succeeding. */
  notReady: 6,
  /** The run is done, but without VMs that were skipped, or that are optional and failed. */
  doneWithout: 7,
  /** The application serves, but a hook that the plan requires has failed after that, when nothing is taken back any more. */
  hookFailed: 8,
  /** Detached by Ctrl-C; the run goes on. 128 + SIGINT, as shells have it. */
  detached: 130,
} as const;

export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

/** An error that is told in one line: what is wrong, and what to do. */
export class CliError extends Error {
  constructor(
    message: string,
    readonly exitCode: ExitCode,
    /** Further fields of the JSON document's `error`. */
    readonly details: Record<string, string | number | undefined> = {},
    options?: ErrorOptions,
  ) {
    super(message, options);
    this.name = 'CliError';
  }
}
