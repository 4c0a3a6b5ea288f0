import { type Client } from '@temporalio/client';
import {
  type ApproveRequest,
  type CancelPreview,
  type Deciding,
  type SkipRequest,
} from '../workflows/run/messages';
import { type FailoverMode, type WorkflowType } from '../workflows/run/ids';
import { NotWaitingError } from './errors';
import { type LifeboatRun } from './run';
import { updateRun } from './run-updates';

/** Of a plan's runs, the test failover; else the failover or failback that is under way. */
export interface WhichRun {
  test?: boolean;
}

/** What people decide of a plan's run while it goes on. Each throws NotWaitingError where there is no such run, or it refuses. */
export interface RunDecisions {
  /** Approves what waits for that. @returns what was approved, in words */
  approve(
    plan: string,
    request: ApproveRequest,
    which?: WhichRun,
  ): Promise<{ run: LifeboatRun; gate: string }>;
  /** No further VM boots, and DNS does not move. @returns the VMs of which something goes on meanwhile */
  pause(plan: string, request: Deciding, which?: WhichRun): Promise<{ run: LifeboatRun; underWay: string[] }>;
  resume(plan: string, request: Deciding, which?: WhichRun): Promise<{ run: LifeboatRun }>;
  /** Gives VMs of a failover up. @returns those, and those that start without them */
  skip(
    plan: string,
    request: SkipRequest,
    which?: WhichRun,
  ): Promise<{ run: LifeboatRun; skipped: string[]; startWithout: string[] }>;
  /** Ends a test that is kept: all of it is removed. @returns since when it was kept, ISO 8601, UTC */
  endTest(plan: string, request: Deciding): Promise<{ run: LifeboatRun; since: string }>;
  /** The run, and what cancelling it would take back by its own account; undefined while it cannot be asked. */
  whatCancelTakesBack(
    plan: string,
    which?: WhichRun,
  ): Promise<{ run: LifeboatRun; takesBack: string[] | undefined }>;
}

type Attach = <Type extends WorkflowType>(
  type: Type,
  which: { plan: string; mode?: FailoverMode },
) => Promise<LifeboatRun<Type> | undefined>;

/** Milliseconds for which a query waits for a worker; a workflow that is known to one answers in a few. */
const QUERY_DEADLINE_MS = 5000;

export function runDecisions(temporal: Client, attach: Attach): RunDecisions {
  async function find(plan: string, { test = false }: WhichRun = {}): Promise<LifeboatRun> {
    const run: LifeboatRun | undefined = test
      ? await attach('failover', { plan, mode: 'test' })
      : ((await attach('failover', { plan })) ?? (await attach('failback', { plan })));
    if (run !== undefined) return run;
    throw new NotWaitingError(
      test
        ? `The plan ${plan} has no test failover under way.`
        : `The plan ${plan} has no failover or failback under way; a test failover is meant with --test.`,
    );
  }

  async function decide<Answer extends object, Request>(
    name: string,
    plan: string,
    request: Request,
    which?: WhichRun,
  ): Promise<{ run: LifeboatRun } & Answer> {
    const run = await find(plan, which);
    if (name === 'skip' && run.type === 'failback')
      throw new NotWaitingError(
        `${run.workflowId} brings all VMs home, or none: half an application at home is of no use. Cancel it, or mend what it waits for.`,
      );
    return { run, ...(await updateRun<Answer, Request>(temporal, run, name, request)) };
  }

  return {
    approve: (plan, request, which) => decide('approve', plan, request, which),
    pause: (plan, request, which) => decide('pause', plan, request, which),
    resume: (plan, request, which) => decide('resume', plan, request, which),
    skip: (plan, request, which) => decide('skip', plan, request, which),
    endTest: (plan, request) => decide('endTest', plan, request, { test: true }),
    async whatCancelTakesBack(plan, which) {
      const run = await find(plan, which);
      try {
        const { takesBack } = await temporal.connection.withDeadline(Date.now() + QUERY_DEADLINE_MS, () =>
          run.handle.query<CancelPreview>('whatCancelTakesBack'),
        );
        return { run, takesBack };
      } catch {
        // No worker answers, or the run is one that has nothing to take back yet and knows no such question.
        return { run, takesBack: undefined };
      }
    },
  };
}
