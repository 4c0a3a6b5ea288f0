import {
  type Client,
  ScheduleAlreadyRunning,
  type ScheduleDescription,
  ScheduleNotFoundError,
  type ScheduleOptions,
  ScheduleOverlapPolicy,
} from '@temporalio/client';
import { replicationScheduleId, workflowId } from '../workflows/run/ids';
import { TASK_TIMEOUT } from '../workflows/run/task-timeout';
import { CONTROL_QUEUE } from '../activities/task-queues';
import { runSummary } from './run-types';

/** A schedule of a plan as it is on the Temporal server. Times are ISO 8601, UTC. */
export interface PlanSchedule {
  scheduleId: string;
  /** Seconds between two rounds; undefined where somebody gave the schedule another kind of times. */
  frequencySeconds: number | undefined;
  paused: boolean;
  note: string | undefined;
  nextTimes: string[];
  recentRuns: { at: string; workflowId: string; runId: string }[];
  runningRuns: { workflowId: string; runId: string }[];
  /** Rounds that were due while the one before was still under way. */
  skipped: number;
}

/** The schedules of one kind, of which a plan has one. */
export interface PlanSchedules {
  /** Creates the plan's schedule, or gives the one that exists this frequency. */
  set(plan: string, frequencySeconds: number): Promise<'created' | 'updated'>;
  /** @returns whether there was one */
  delete(plan: string): Promise<boolean>;
  /** Begins a round now; where one is under way, when it has ended. */
  trigger(plan: string): Promise<void>;
  /** @returns undefined where the plan has none */
  describe(plan: string): Promise<PlanSchedule | undefined>;
}

/** The Temporal Schedules that run backup and restore at a plan's replication frequency. */
export const replicationSchedules = (temporal: Client): PlanSchedules =>
  planSchedules(temporal, 'replication', replicationScheduleId);

/** The Temporal Schedules that start runs of one type, which have the plan as their argument. */
export function planSchedules(
  temporal: Client,
  type: 'replication' | 'check',
  idOf: (plan: string) => string,
): PlanSchedules {
  const { set, describe, ...schedules } = schedulesOf(temporal, idOf);
  return {
    ...schedules,
    describe: async (plan) => (await describe(plan))?.schedule,
    set: (plan, frequencySeconds) =>
      set({
        plan,
        frequencySeconds,
        workflowType: type,
        workflowId: workflowId(plan, type),
        summary: runSummary(type, plan),
        // Without a digest: each round runs with the plan's newest version.
        argument: { plan },
        // After an outage of the server one round is made up for at once, as the data is older than it should be;
        // more of them would only copy the same blocks. The server takes no less than 10 s.
        catchupSeconds: Math.max(10, frequencySeconds),
      }),
  };
}

/** What a plan's schedule is made of. */
export interface ScheduledRuns {
  plan: string;
  frequencySeconds: number;
  /** Seconds after the multiples of the frequency since 1970 at which the runs begin; 0 where this is absent. */
  offsetSeconds?: number;
  workflowType: string;
  /** Temporal puts the time behind it. */
  workflowId: string;
  summary: string;
  argument: { plan: string };
  /** What became due while the server was away for so long is made up for. */
  catchupSeconds: number;
}

type Schedules = Omit<PlanSchedules, 'set' | 'describe'> & {
  set(runs: ScheduledRuns): Promise<'created' | 'updated'>;
  /** `argument`: what its runs are started with, as it lies on the server. */
  describe(plan: string): Promise<{ schedule: PlanSchedule; argument: unknown } | undefined>;
};

/** The Temporal Schedules of one kind, of which a plan has one. */
export function schedulesOf(temporal: Client, idOf: (plan: string) => string): Schedules {
  const handleOf = (plan: string) => temporal.schedule.getHandle(idOf(plan));
  return {
    async set(runs) {
      const { plan } = runs;
      const options = scheduleOptions(idOf(plan), runs);
      try {
        await temporal.schedule.create(options);
        return 'created';
      } catch (error) {
        if (!(error instanceof ScheduleAlreadyRunning)) throw error;
        // The state stays: a schedule that somebody paused stays paused.
        const { spec, action, policies } = options;
        await handleOf(plan).update(({ state }) => ({ spec, action, policies, state }));
        return 'updated';
      }
    },
    async delete(plan) {
      return (
        (await ifThere(() =>
          handleOf(plan)
            .delete()
            .then(() => true),
        )) ?? false
      );
    },
    // One that is under way began with what was there before: another comes after it.
    trigger: (plan) => handleOf(plan).trigger(ScheduleOverlapPolicy.BUFFER_ONE),
    async describe(plan) {
      const description = await ifThere(() => handleOf(plan).describe());
      if (description === undefined) return undefined;
      const { action } = description;
      const argument: unknown = action.type === 'startWorkflow' ? action.args?.[0] : undefined;
      return { schedule: shown(description), argument };
    },
  };
}

function scheduleOptions(scheduleId: string, runs: ScheduledRuns) {
  const { frequencySeconds, offsetSeconds } = runs;
  return {
    scheduleId,
    spec: {
      intervals: [
        {
          every: frequencySeconds * 1000,
          ...(offsetSeconds === undefined ? {} : { offset: offsetSeconds * 1000 }),
        },
      ],
    },
    action: {
      type: 'startWorkflow',
      workflowType: runs.workflowType,
      workflowId: runs.workflowId,
      taskQueue: CONTROL_QUEUE,
      workflowTaskTimeout: TASK_TIMEOUT,
      args: [runs.argument],
      staticSummary: runs.summary,
    },
    policies: {
      // A round that takes longer than the frequency is followed by the next due one, not by all that it overran.
      overlap: ScheduleOverlapPolicy.SKIP,
      catchupWindow: runs.catchupSeconds * 1000,
      // A round that failed, because the data centre was away, must not end replication for good.
      pauseOnFailure: false,
    },
  } satisfies ScheduleOptions;
}

function shown({ scheduleId, spec, state, info }: ScheduleDescription): PlanSchedule {
  const every = spec.intervals?.[0]?.every;
  return {
    scheduleId,
    frequencySeconds: every === undefined ? undefined : Number(every) / 1000,
    paused: state.paused,
    note: state.note === '' ? undefined : state.note,
    nextTimes: info.nextActionTimes.map((time) => time.toISOString()),
    recentRuns: info.recentActions.map(({ takenAt, action }) => ({
      at: takenAt.toISOString(),
      workflowId: action.workflow.workflowId,
      runId: action.workflow.firstExecutionRunId,
    })),
    runningRuns: info.runningActions.map(({ workflow }) => ({
      workflowId: workflow.workflowId,
      runId: workflow.firstExecutionRunId,
    })),
    skipped: info.numActionsSkippedOverlap,
  };
}

async function ifThere<T>(call: () => Promise<T>): Promise<T | undefined> {
  try {
    return await call();
  } catch (error) {
    if (error instanceof ScheduleNotFoundError) return undefined;
    throw error;
  }
}
