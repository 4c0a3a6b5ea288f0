import { type Client } from '@temporalio/client';
import { type ScheduledTestRequest } from '../workflows/scheduled-test';
import { testScheduleId } from '../workflows/run/ids';
import { type PlanSchedule, type PlanSchedules, schedulesOf } from './schedules';

/** How a plan is tested by its schedule. */
export type TestOptions = Omit<ScheduledTestRequest, 'plan'>;

/** The schedules that test plans. */
export interface TestSchedules extends Omit<PlanSchedules, 'set' | 'describe'> {
  /**
   * Creates the plan's schedule, or changes the one that exists. A new one is due for the first time after `frequencySeconds`, and one
   * that is changed keeps its beat where the frequency stays.
   */
  set(plan: string, frequencySeconds: number, options?: TestOptions): Promise<'created' | 'updated'>;
  /** @returns undefined where the plan has none */
  describe(plan: string): Promise<TestSchedule | undefined>;
}

export type TestSchedule = PlanSchedule & TestOptions;

/** A test that became due while the server was away for longer is left out: the next one comes. */
const CATCH_UP_SECONDS = 86_400;

export function testSchedules(temporal: Client): TestSchedules {
  const { set, describe, ...schedules } = schedulesOf(temporal, testScheduleId);
  return {
    ...schedules,
    async set(plan, frequencySeconds, options = {}) {
      const present = (await describe(plan))?.schedule;
      const now = Math.floor(Date.now() / 1000);
      const beat =
        present?.frequencySeconds === frequencySeconds && present.nextTimes[0] !== undefined
          ? Math.floor(Date.parse(present.nextTimes[0]) / 1000)
          : now;
      return set({
        ...{ plan, frequencySeconds, offsetSeconds: beat % frequencySeconds },
        workflowType: 'scheduledTest',
        workflowId: testScheduleId(plan),
        summary: `Test plan ${plan} by its schedule`,
        argument: { plan, ...options } satisfies ScheduledTestRequest,
        catchupSeconds: Math.min(CATCH_UP_SECONDS, Math.max(10, frequencySeconds)),
      });
    },
    async describe(plan) {
      const found = await describe(plan);
      if (found === undefined) return undefined;
      return { ...found.schedule, ...optionsOf(found.argument) };
    },
  };
}

/** Somebody may have changed the schedule by other means. */
function optionsOf(argument: unknown): TestOptions {
  const { between, timeZone, keep, approveAll } = (argument ?? {}) as Partial<ScheduledTestRequest>;
  return {
    ...(typeof between === 'string' ? { between } : {}),
    ...(typeof timeZone === 'string' ? { timeZone } : {}),
    ...(typeof keep === 'number' ? { keep } : {}),
    ...(typeof approveAll === 'object' ? { approveAll } : {}),
  };
}
