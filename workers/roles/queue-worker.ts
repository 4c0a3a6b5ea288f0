import { type WorkerOptions } from '@temporalio/worker';
import { type Facts } from '../metrics/facts';

/** What one role's process polls: a Temporal worker for each of its task queues. */
export type QueueWorker = Pick<
  WorkerOptions,
  | 'taskQueue'
  | 'activities'
  | 'workflowBundle'
  | 'maxConcurrentActivityTaskExecutions'
  | 'maxConcurrentActivityTaskPolls'
  | 'maxCachedWorkflows'
  | 'workerDeploymentOptions'
> & {
  /** What this role can look up for metrics. */
  facts?: Facts[];
  /** Clears what workers that died have left. @returns what was done, one sentence each */
  atStart?: () => Promise<string[]>;
};

/** Pulses and other answers given at once: each takes no time, and any number of them is soon through. */
export const CONCURRENT_PULSES = 5;
/** A queue where one is asked whether it is there, which is seldom. */
export function answering(taskQueue: string, activities: object): QueueWorker {
  return {
    taskQueue,
    activities,
    maxConcurrentActivityTaskExecutions: CONCURRENT_PULSES,
    maxConcurrentActivityTaskPolls: 1,
  };
}
