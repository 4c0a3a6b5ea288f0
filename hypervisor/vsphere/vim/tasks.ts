import { VimConnectionError } from './errors';
import { isFault, VimFault } from './faults';
import { type ManagedObject, type TaskInfo } from './schema';
import { type Sessions } from './session';
import { watch } from './updates';

/** Seconds that a task gets to end after it was cancelled. */
const CANCEL_SECONDS = 10;

export interface RunOptions {
  /** Per cent; not every task tells. */
  onProgress?: (percent: number) => void;
  /** Cancels the task, which may end with success all the same. */
  signal?: AbortSignal;
}

/** Nobody knows whether a task has done what it should: look at the objects themselves before doing anything again. */
export class TaskOutcomeUnknownError extends Error {
  constructor(
    readonly method: string,
    readonly task: ManagedObject,
    why: string,
    options?: ErrorOptions,
  ) {
    super(
      `${method}: ${why} The outcome of ${task.value} is unknown: it may have been done, or be done yet.`,
      options,
    );
    this.name = 'TaskOutcomeUnknownError';
  }
}

/**
 * Waits until a task ends, and returns its result.
 * @throws VimFault what it ended with
 * @throws TaskOutcomeUnknownError
 * @throws the signal's reason, where the task was cancelled by it
 */
export async function endOfTask(
  sessions: Sessions,
  method: string,
  task: ManagedObject<'Task'>,
  { onProgress, signal }: RunOptions = {},
): Promise<unknown> {
  let info: TaskInfo;
  try {
    info = await whenEnded(sessions, task, onProgress, signal);
  } catch (error) {
    if (signal?.aborted !== true || error !== signal.reason) throw asUnknown(method, task, error);
    info = await whenCancelled(sessions, method, task, error);
  }
  if (info.state === 'success') return info.result;
  const fault = info.error?.fault ?? { $type: 'SystemError' as const };
  if (signal?.aborted === true && fault.$type === 'RequestCanceled') throw signal.reason;
  throw new VimFault(method, fault, info.error?.localizedMessage ?? '');
}

async function whenEnded(
  sessions: Sessions,
  task: ManagedObject<'Task'>,
  onProgress: RunOptions['onProgress'],
  signal?: AbortSignal,
  until?: number,
): Promise<TaskInfo> {
  const again = () =>
    watch(
      sessions,
      task,
      ['info'],
      ({ info }) => {
        if (info?.progress !== undefined) onProgress?.(info.progress);
        return info?.state === 'success' || info?.state === 'error' ? info : undefined;
      },
      { signal, until },
    );
  let info: TaskInfo | undefined;
  try {
    info = await again();
  } catch (error) {
    // A connection that was cut in between (a proxy, a failover) is worth one more try: only reads are done again.
    if (!(error instanceof VimConnectionError)) throw error;
    info = await again();
  }
  if (info === undefined) throw new Error(`It has not ended within ${CANCEL_SECONDS} s of being cancelled.`);
  return info;
}

async function whenCancelled(
  sessions: Sessions,
  method: string,
  task: ManagedObject<'Task'>,
  reason: unknown,
): Promise<TaskInfo> {
  try {
    await sessions.within((session) => session.call('CancelTask', task));
  } catch (error) {
    // Many tasks cannot be cancelled, or have ended meanwhile; how they end is asked for below.
    if (!(error instanceof VimFault)) throw asUnknown(method, task, error);
  }
  try {
    return await whenEnded(sessions, task, undefined, undefined, Date.now() + CANCEL_SECONDS * 1000);
  } catch {
    throw new TaskOutcomeUnknownError(method, task, 'It was cancelled, and has not ended yet.', {
      cause: reason,
    });
  }
}

function asUnknown(method: string, task: ManagedObject, error: unknown): Error {
  const why = isFault(error, 'ManagedObjectNotFound')
    ? 'vCenter does not know the task any more; it may have been restarted.'
    : `Waiting for it failed: ${(error as Error).message}.`;
  return new TaskOutcomeUnknownError(method, task, why, { cause: error });
}
