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
): Promise<Output> {
  return new MockActivityEnvironment({ attempt }, { logger }).run(activity, input);
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
