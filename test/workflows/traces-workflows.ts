import { proxyActivities, sleep } from '@temporalio/workflow';

/** Two lines of work, each of two steps: where both go on in one task, the order of what they do then is the history's. */
export async function stepAndTimer(): Promise<void> {
  const { step } = proxyActivities<{ step(): Promise<void> }>({
    startToCloseTimeout: '1 minute',
    taskQueue: 'traces-steps',
  });
  await Promise.all([step().then(step), sleep(500).then(() => sleep(1))]);
}
