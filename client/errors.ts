/** The Temporal server, or its namespace, cannot be reached or does not let us in. */
export class CannotConnectError extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'CannotConnectError';
  }
}

/** A run of this kind is under way for the plan, and a plan has one at a time. */
export class AlreadyRunningError extends Error {
  constructor(
    readonly workflowId: string,
    readonly runId: string,
    /** Version of the plan that it runs with; undefined where whoever started it named none. */
    readonly digest: string | undefined,
  ) {
    super(`The run ${workflowId} is under way already.`);
    this.name = 'AlreadyRunningError';
  }
}

/** Nothing waits to be tried again, or not what was named. */
export class NotWaitingError extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'NotWaitingError';
  }
}

/** How a run ended that did not complete. */
export type FailedOutcome = 'failed' | 'cancelled' | 'terminated' | 'timed-out';

/** A run that did not complete: the sentence at the bottom of Temporal's chain of failures, and where it happened. */
export class RunFailedError extends Error {
  /** `type` of the ApplicationFailure, such as `NotReadyForFailover`; undefined where there is none. */
  readonly type: string | undefined;
  /** VM whose child workflow failed. */
  readonly vm: string | undefined;
  /** Activity that failed. */
  readonly step: string | undefined;

  constructor(
    message: string,
    readonly outcome: FailedOutcome,
    { type, vm, step, cause }: { type?: string; vm?: string; step?: string; cause?: unknown },
  ) {
    super(message, { cause });
    this.name = 'RunFailedError';
    this.type = type;
    this.vm = vm;
    this.step = step;
  }

  /** The whole sentence: `web, launchShell: …`. */
  get sentence(): string {
    const where = [this.vm, this.step].filter((part) => part !== undefined).join(', ');
    return where === '' ? this.message : `${where}: ${this.message}`;
  }
}
