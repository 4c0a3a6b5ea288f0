import { condition, defineQuery, isCancellation, patched, setHandler } from '@temporalio/workflow';
import { type RunContext } from '../plan/run';
import { awsProxy } from './run/activities';
import { awsName } from './run/asker';
import { requireDeciding } from './run/decisions';
import { causeMessage } from './run/failure-message';
import { type Deciding, type Decision, endTestUpdate } from './run/messages';
import { type RunProgress } from './run/run-status';
import { secondsText } from '../plan/seconds-text';

/** A test that stays up after it is ready, and how long it did. */
export interface KeptTest {
  /** ISO 8601, UTC: since when it is ready and kept. */
  since: string;
  /** ISO 8601, UTC: when it ends where nobody ends it before. */
  until: string;
  /** ISO 8601, UTC; absent while it is kept. */
  endedAt?: string;
  /** Who has ended it; absent while it is kept, and where its time was over. */
  endedBy?: Decision;
}

/** What a run that keeps its test has come to so far: its result, with what has been removed and what comes after that left out. */
export const keptTestQuery = defineQuery<unknown>('keptTest');

const EXAMPLE = '{"by": "your name", "why": "the reason"}';

/** Waits while a test is kept: until somebody ends it, or its time is over. */
export class Keeping {
  private kept: KeptTest | undefined;
  private ended: Decision | undefined;

  constructor(
    private readonly seconds: number,
    private readonly progress: RunProgress,
  ) {
    setHandler(endTestUpdate, (request) => this.end(request), {
      description: `Ends a test that is kept: all of it is removed. ${EXAMPLE}`,
      validator: (request) => {
        requireDeciding(request, EXAMPLE);
        if (this.kept === undefined)
          throw new Error('The test is not ready yet; cancel it instead (lifeboat cancel --test).');
        if (this.kept.endedAt !== undefined || this.ended !== undefined)
          throw new Error('The test is being removed already.');
      },
    });
  }

  /**
   * @param summary what is told of the test while it is kept
   * @param note keeps what an operator should know, a sentence
   */
  async keep(
    run: RunContext,
    rtoSeconds: number,
    summary: (kept: KeptTest) => unknown,
    note: (text: string) => void,
  ): Promise<KeptTest> {
    const since = new Date();
    const kept: KeptTest = {
      since: since.toISOString(),
      until: new Date(since.getTime() + this.seconds * 1000).toISOString(),
    };
    try {
      await awsProxy.keepTest({ run, until: kept.until });
    } catch (error) {
      if (isCancellation(error)) throw error;
      note(
        `The instances could not be marked as kept (${causeMessage(error)}); a sweep from another Temporal server would remove them before their time.`,
      );
    }
    this.kept = kept;
    setHandler(keptTestQuery, () => summary({ ...kept }));
    this.progress.kept({ since: kept.since, until: kept.until });
    this.progress.phase(`ready after ${secondsText(rtoSeconds)}; kept until ${kept.until}`);
    await condition(() => this.ended !== undefined, Math.max(1, Date.parse(kept.until) - Date.now()));
    kept.endedAt = new Date().toISOString();
    if (this.ended !== undefined) kept.endedBy = this.ended;
    this.progress.kept(undefined);
    return kept;
  }

  private end(request: Deciding): { since: string } {
    const { by, why } = request;
    this.ended = { by, ...awsName(request), why, at: new Date().toISOString() };
    return { since: this.kept?.since ?? '' };
  }
}

/** Removes what kept tests have left whose Temporal server is lost. @returns what was done, one sentence each */
export async function removeOverdueTests(run: RunContext, progress: RunProgress): Promise<string[]> {
  if (!patched('overdue tests')) return [];
  progress.phase('looking for tests whose time is over');
  try {
    return (await awsProxy.removeOverdueTests({ run })).map(
      ({ runId, until, removed }) =>
        `The test ${runId} was kept until ${until}, and its Temporal server had not removed it: ${removed.length} resources of it were removed.`,
    );
  } catch (error) {
    if (isCancellation(error)) throw error;
    return [`Kept tests whose time is over could not be looked for, or removed: ${causeMessage(error)}`];
  }
}
