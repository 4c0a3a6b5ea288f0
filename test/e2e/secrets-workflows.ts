import { proxyActivities } from '@temporalio/workflow';

export interface ActivityCall {
  queue: string;
  name: string;
  input: unknown;
}

/** Calls activities of the product's workers as a workflow does, each twice where it may be tried again; how each ended, by its name. */
export async function callActivities(calls: ActivityCall[]): Promise<Record<string, string>> {
  const ends = await Promise.all(
    calls.map(async ({ queue, name, input }) => {
      const activities = proxyActivities<Record<string, (input: unknown) => Promise<unknown>>>({
        taskQueue: queue,
        startToCloseTimeout: '60s',
        scheduleToCloseTimeout: '60s',
        retry: { maximumAttempts: 2, initialInterval: '100ms' },
      });
      try {
        return [name, JSON.stringify(await activities[name]?.(input))] as const;
      } catch (error) {
        return [name, String((error as Error).cause ?? error)] as const;
      }
    }),
  );
  return Object.fromEntries(ends);
}
