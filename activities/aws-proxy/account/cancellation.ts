import { AsyncLocalStorage } from 'node:async_hooks';
import { asyncLocalStorage as activityContext } from '@temporalio/activity';

const goingOn = new AsyncLocalStorage<true>();

/** Work that is not ended by the cancellation of the activity that it is for: because others share it, or it puts things in order. */
export function regardless<T>(work: () => T): T {
  return goingOn.run(true, work);
}

/**
 * What ends the waiting of the present piece of work: its activity's cancellation. Undefined where there is no activity, in work
 * that goes on {@link regardless}, and after the cancellation, as what is begun then puts things in order.
 */
export function cancellation(): AbortSignal | undefined {
  if (goingOn.getStore() === true) return undefined;
  const signal = activityContext.getStore()?.cancellationSignal;
  return signal?.aborted === true ? undefined : signal;
}
