import { WorkflowExecutionAlreadyStartedError } from '@temporalio/common';
import { executeChild, ParentClosePolicy, sleep } from '@temporalio/workflow';
import { windowText } from '../plan/daily-window';
import { failover, type FailoverSummary } from './failover';
import { control } from './run/activities';
import { begin, type BegunRun } from './run/begin';
import { workflowId } from './run/ids';
import { type Deciding } from './run/messages';
import { RunProgress } from './run/run-status';
import { TASK_TIMEOUT } from './run/task-timeout';

export interface ScheduledTestRequest {
  plan: string;
  /** Hours within which the test may begin, such as "22:00-05:00"; at any time where this is absent. */
  between?: string;
  /** Whose clock that goes by; UTC where this is absent. */
  timeZone?: string;
  /** Seconds for which the test stays up. */
  keep?: number;
  /** Nobody attends: who has approved beforehand what the plan wants approved. */
  approveAll?: Deciding;
}

/** What became of a test that was due: it took place, or there was a reason not to. */
export type ScheduledTestSummary = FailoverSummary | { plan: string; skipped: string };

/** Seconds after which a test that waits for its hours looks at the plan again. */
const LOOK_AGAIN_SECONDS = 3600;

/**
 * A test failover that is due by the plan's schedule. It is the one test failover that a plan may have at a time, by its workflow id, so
 * that it is followed, ended and cancelled like one that a person has started.
 */
export async function scheduledTest(request: ScheduledTestRequest): Promise<ScheduledTestSummary> {
  const { plan: name, keep, approveAll, between, timeZone = 'UTC' } = request;
  const progress = new RunProgress(name, []);
  const skipped = (why: string): ScheduledTestSummary => {
    progress.phase(`skipped: ${why}`);
    return { plan: name, skipped: why };
  };
  for (;;) {
    const why = whyNot(await begin({ plan: name }));
    if (why !== undefined) return skipped(why);
    if (between === undefined) break;
    const { opensAt } = await control.readWindow({ between, timeZone });
    if (opensAt === undefined) break;
    progress.phase(`waiting until ${opensAt}: tests begin ${windowText({ between, timeZone })} only`);
    const wait = Math.ceil((Date.parse(opensAt) - Date.now()) / 1000);
    await sleep(Math.min(Math.max(1, wait), LOOK_AGAIN_SECONDS) * 1000);
  }
  progress.phase('testing');
  try {
    const summary = await executeChild(failover, {
      workflowId: workflowId(name, 'failover', 'test'),
      workflowTaskTimeout: TASK_TIMEOUT,
      parentClosePolicy: ParentClosePolicy.REQUEST_CANCEL,
      staticSummary: `Test failover of plan ${name}, by its schedule`,
      args: [
        {
          ...{ plan: name, mode: 'test' },
          ...(keep === undefined ? {} : { keep }),
          ...(approveAll === undefined ? {} : { approveAll }),
        },
      ],
    });
    progress.phase('done');
    return summary;
  } catch (error) {
    if (error instanceof WorkflowExecutionAlreadyStartedError)
      return skipped('a test failover of the plan is under way already, or is kept');
    throw error;
  }
}

/** A plan that is away, or on its way, is not tested: its people have other things to do, and its account other things to run. */
function whyNot({ phase }: BegunRun): string | undefined {
  if (phase === 'protected') return undefined;
  return phase === 'none' ? 'the plan was never replicated' : `the plan is ${phase}`;
}
