import { CancellationScope, isCancellation, TemporalFailure } from '@temporalio/workflow';
import { type NoticeFacts } from '../plan/notices';
import { secondsText } from '../plan/seconds-text';
import { someOf } from '../plan/some-of';
import { type CommitSummary } from './commit';
import { type FailbackSummary } from './failback';
import { type FailoverRequest, type FailoverSummary } from './failover';
import { type RunRequest } from './run/begin';
import { causeMessage, hasFailureType } from './run/failure-message';
import { peopleTold, tell } from './run/notices';
import { type UndoSummary } from './undo-request';
import { type VerifySummary } from './verify';

/** What a run says of itself when it is done: in a few words, and as values. */
export interface Outcome {
  text?: string;
  facts: NoticeFacts;
}

/**
 * The run, which tells people how it ended. A run that was terminated tells nobody: nothing of it runs any more.
 * @param name what people call it
 * @param outcome of a run that is done
 */
export function tellingItsEnd<Request extends RunRequest, Result>(
  run: (request: Request) => Promise<Result>,
  name: (request: Request) => string,
  outcome: (result: Result) => Outcome,
): (request: Request) => Promise<Result> {
  return endingTold(run, {
    done(result, request, facts) {
      const { text, facts: more } = outcome(result);
      tell('run-ended', 'run-ended', {
        text: `The ${name(request)} of ${request.plan} is done${text === undefined ? '' : `: ${text}`}.`,
        facts: { ...facts, outcome: 'completed', ...more },
      });
    },
    failed(error, request, facts) {
      const cancelled = isCancellation(error);
      tell('run-ended', 'run-ended', {
        text: cancelled
          ? `The ${name(request)} of ${request.plan} was cancelled.`
          : `The ${name(request)} of ${request.plan} failed: ${causeMessage(error)}`,
        todo: `Look at where the plan stands: lifeboat status ${request.plan}.`,
        facts: { ...facts, outcome: cancelled ? 'cancelled' : 'failed' },
      });
    },
  });
}

/** A round of replication that failed is told; one that gave way to what people do with the plan has not. */
export function tellingFailedRounds<Request extends RunRequest, Result>(
  run: (request: Request) => Promise<Result>,
): (request: Request) => Promise<Result> {
  return endingTold(run, {
    failed(error, request, facts) {
      if (isCancellation(error) || GIVING_WAY.some((type) => hasFailureType(error, type))) return;
      tell('round-failed', 'round-failed', {
        text: `A round of replication of ${request.plan} failed: ${causeMessage(error)}`,
        todo: `The next round tries again; until one succeeds the DR copies grow older: lifeboat status ${request.plan}.`,
        facts,
      });
    },
  });
}

/** With which a round ends where the application is on its way to the other site, or another run has taken the plan's state. */
const GIVING_WAY = ['WrongPhase', 'Fenced'];

interface Tellers<Request, Result> {
  done?: (result: Result, request: Request, facts: { seconds: number }) => void;
  failed: (error: unknown, request: Request, facts: { seconds: number }) => void;
}

/** Before the run has ended, as a workflow that has starts nothing any more. */
function endingTold<Request, Result>(
  run: (request: Request) => Promise<Result>,
  { done, failed }: Tellers<Request, Result>,
): (request: Request) => Promise<Result> {
  return async (request) => {
    const began = Date.now();
    const facts = () => ({ seconds: Math.round((Date.now() - began) / 1000) });
    try {
      const result = await run(request);
      done?.(result, request, facts());
      await CancellationScope.nonCancellable(peopleTold);
      return result;
    } catch (error) {
      // Any other error is a fault of this program: it does not end the run, which is gone on with by a version without it.
      if (error instanceof TemporalFailure) {
        failed(error, request, facts());
        await CancellationScope.nonCancellable(peopleTold);
      }
      throw error;
    }
  };
}

const FAILOVERS: Record<FailoverRequest['mode'], string> = {
  disaster: 'failover',
  planned: 'planned failover',
  test: 'test failover',
};

export const failoverName = ({ mode }: FailoverRequest): string => FAILOVERS[mode];

export function failoverOutcome({
  rpoSeconds,
  rtoSeconds,
  vms,
  leftOut = [],
  ...more
}: FailoverSummary): Outcome {
  const names = leftOut.map(({ vm }) => vm);
  const without = names.length === 0 ? '' : `, without ${someOf(names)}`;
  return {
    text: `RPO ${secondsText(rpoSeconds)}, RTO ${secondsText(rtoSeconds)}${without}`,
    facts: {
      ...{ mode: more.mode, vms: vms.length, rpoSeconds, rtoSeconds },
      ...(names.length === 0 ? {} : { leftOut: names.slice(0, 50) }),
      ...(more.downtimeSeconds === undefined ? {} : { downtimeSeconds: more.downtimeSeconds }),
    },
  };
}

export const failbackOutcome = ({ vms, downtimeSeconds }: FailbackSummary): Outcome => ({
  text: `the application did not serve for ${secondsText(downtimeSeconds)}`,
  facts: { vms: vms.length, downtimeSeconds },
});

export const undoOutcome = ({ undone, discardedSince, downtimeSeconds }: UndoSummary): Outcome => ({
  text: `the ${undone} is taken back; what was written since ${discardedSince} is discarded`,
  facts: { undone, discardedSince, downtimeSeconds },
});

export const commitOutcome = ({ removed }: CommitSummary): Outcome => ({
  facts: { removed: removed.length },
});

export const verifyOutcome = ({ vms }: VerifySummary): Outcome => ({
  text: 'every block is as in its backup',
  facts: { vms: vms.length },
});
