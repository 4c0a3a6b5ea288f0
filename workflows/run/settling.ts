import { CancellationScope, patched } from '@temporalio/workflow';

/** What a workflow has asked for and has no answer to yet, with the scope that it was asked in. Each workflow has this for itself. */
const underWay = new Map<Promise<unknown>, CancellationScope>();

/**
 * Whether what is cancelled is waited for. Runs that an earlier version began go on as they did: a cancelled activity counted as
 * ended when its cancellation was asked for (what TRY_CANCEL, the SDK's true default, means).
 */
export function waitsForCancelled(): boolean {
  return patched('settles');
}

/** Notes an activity, or a child, for {@link settling}. */
export function noted<T>(work: Promise<T>): Promise<T> {
  underWay.set(work, CancellationScope.current());
  const forget = (): void => void underWay.delete(work);
  work.then(forget, forget);
  return work;
}

/**
 * Runs steps. Where they fail or are cancelled, what of them still goes on is cancelled, and the error comes only when all of it
 * has ended: what is taken back next must not be made at the same time, as nobody would take that back again.
 */
export async function settling<T>(steps: () => Promise<T>): Promise<T> {
  const scope = new CancellationScope();
  try {
    return await scope.run(steps);
  } catch (error) {
    if (waitsForCancelled()) {
      scope.cancel();
      await CancellationScope.nonCancellable(() => settled(scope));
    }
    throw error;
  }
}

/**
 * For what is done to the end once it has begun: an activity that was cancelled, and done all the same, has let no error out.
 * @throws CancelledFailure
 */
export async function unlessCancelled(): Promise<void> {
  const scope = CancellationScope.current();
  if (scope.consideredCancelled) await scope.cancelRequested;
}

async function settled(scope: CancellationScope): Promise<void> {
  for (;;) {
    const within = [...underWay].filter(([, asked]) => isWithin(asked, scope)).map(([work]) => work);
    if (within.length === 0) return;
    await Promise.allSettled(within);
  }
}

function isWithin(inner: CancellationScope | undefined, outer: CancellationScope): boolean {
  for (let scope = inner; scope !== undefined; scope = scope.parent) if (scope === outer) return true;
  return false;
}
