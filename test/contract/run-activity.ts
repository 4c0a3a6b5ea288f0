import { MockActivityEnvironment } from '@temporalio/testing';
import { DefaultLogger } from '@temporalio/worker';
import { ApplicationFailure } from '@temporalio/common';

// Failures are what these tests are about; as warnings in their output they would only hide others.
const logger = new DefaultLogger('ERROR');

/** Runs an activity the way a worker does. */
export function runActivity<Input, Output>(
  activity: (input: Input) => Promise<Output>,
  input: NoInfer<Input>,
  attempt = 1,
  heartbeatDetails?: unknown,
): Promise<Output> {
  return new MockActivityEnvironment({ attempt, heartbeatDetails }, { logger }).run(activity, input);
}

/** What the promise is rejected with. @throws Error where it is not, or with something else than a failure */
export async function failureOf(promise: Promise<unknown>): Promise<ApplicationFailure> {
  const error = await promise.then(
    () => new Error('It succeeded.'),
    (reason: unknown) => reason,
  );
  if (error instanceof ApplicationFailure) return error;
  throw error;
}

/** Runs an activity as Temporal does, until a try of it succeeds: each has the last heartbeat of the one before. */
export async function retried<Input, Output>(
  activity: (input: Input) => Promise<Output>,
  input: NoInfer<Input>,
): Promise<{ result: Output; tries: number }> {
  let heartbeatDetails: unknown;
  for (let tries = 1; ; tries++) {
    const environment = new MockActivityEnvironment({ attempt: tries, heartbeatDetails }, { logger });
    environment.on('heartbeat', (details: unknown) => (heartbeatDetails = details));
    try {
      return { result: await environment.run(activity, input), tries };
    } catch (error) {
      if (!(error instanceof ApplicationFailure) || error.nonRetryable === true || tries === 20) throw error;
    }
  }
}
