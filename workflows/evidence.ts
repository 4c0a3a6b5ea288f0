import { CancellationScope, isCancellation, log, patched, workflowInfo } from '@temporalio/workflow';
import { type EvidenceEnd, type WrittenEvidence } from '../activities/control/contract';
import { type DrPlan } from '../plan/schema';
import { type LeftOutVm } from './leaving-out';
import { awsProxy, control } from './run/activities';
import { askerOf } from './run/asker';
import { type RunRequest } from './run/begin';
import { amend, causeMessage, hasFailureType } from './run/failure-message';
import { type Asker } from './run/messages';

/** Of the result of a run that leaves evidence. */
export interface WithEvidence {
  /** Who asked for the run; absent where nobody said so. */
  askedBy?: Asker;
  /** Absent in runs of earlier releases, and where it could not be written. */
  evidence?: WrittenEvidence;
  /** Why there is no evidence of the run; absent where there is. */
  noEvidence?: string;
}

type Figures = NonNullable<EvidenceEnd['figures']>;

/** What a run's result has for its document. Per VM, the history tells it. */
interface Told extends Pick<Figures, 'rpoSeconds' | 'rtoSeconds' | 'downtimeSeconds' | 'notes'> {
  warnings?: string[];
  /** Of a failback, the names of those that the failover had left out. */
  leftOut?: (string | LeftOutVm)[];
}

/** Longest reason that goes to the activity; a failure of many VMs is in their steps, too. */
const LONGEST_FAILURE = 4000;

/** Of runs that were asked for wrongly, and did nothing: an undo that tells what it would discard is one. */
const REFUSALS = ['BadRequest', 'WrongPhase', 'DiscardNotSaid'];

/** Sentences that go to the activity: what is told of each VM is in the steps. */
const MOST_NOTES = 200;

/** Route 53 answers within seconds, where it does. */
const LOOK_AT_MOST = '1 minute';

/** What of a run's evidence has to be asked while it goes on. */
export class EvidenceInMaking {
  private looked: DrPlan | undefined;

  /** What the plan's records are before a test, which is to change nothing of them; they are looked at again at the end. */
  async lookAtDns(plan: DrPlan): Promise<void> {
    if (plan.dns === undefined || !patched('evidence: DNS before and after')) return;
    this.looked = plan;
    await this.look(plan);
  }

  async lookAgain(): Promise<void> {
    if (this.looked !== undefined) await this.look(this.looked);
  }

  /** That the zone could not be looked at fails no test, nor holds it up; the document says that it was not. */
  private async look(plan: DrPlan): Promise<void> {
    const scope = CancellationScope.current();
    try {
      await CancellationScope.withTimeout(LOOK_AT_MOST, () => awsProxy.inspectDns({ plan }));
    } catch (error) {
      if (scope.consideredCancelled) throw error;
      log.warn('could not look at DNS for the evidence', { failed: causeMessage(error) });
    }
  }
}

/**
 * Does the steps of a run, and leaves its evidence behind, whichever way it ends. That it could not be written fails nothing: it is told in
 * the result, or in the failure.
 */
export async function leavingEvidence<Summary extends Told>(
  kind: EvidenceEnd['kind'],
  request: RunRequest,
  steps: (evidence: EvidenceInMaking) => Promise<Summary>,
): Promise<Summary & WithEvidence> {
  const making = new EvidenceInMaking();
  let summary: Summary;
  try {
    summary = await steps(making);
  } catch (error) {
    if (REFUSALS.some((type) => hasFailureType(error, type))) throw error;
    const ended = isCancellation(error) ? 'cancelled' : 'failed';
    const failure = causeMessage(error).slice(0, LONGEST_FAILURE);
    const end = endOf(kind, request);
    const { noEvidence } = await write(making, end && { ...end, ended, failure });
    if (noEvidence !== undefined) amend(error, `; moreover, ${noEvidence}`);
    throw error;
  }
  const end = endOf(kind, request);
  const figures = figuresOf(summary);
  return {
    ...summary,
    ...askerOf(request),
    ...(await write(making, end && { ...end, ended: 'completed', figures })),
  };
}

function figuresOf({ rpoSeconds, rtoSeconds, downtimeSeconds, notes, warnings, leftOut }: Told): Figures {
  const sentences = [...(notes ?? []), ...(warnings ?? [])];
  return {
    ...(rpoSeconds === undefined ? {} : { rpoSeconds }),
    ...(rtoSeconds === undefined ? {} : { rtoSeconds }),
    ...(downtimeSeconds === undefined ? {} : { downtimeSeconds }),
    ...(sentences.length === 0 ? {} : { notes: sentences.slice(0, MOST_NOTES) }),
    ...(leftOut === undefined
      ? {}
      : {
          leftOut: leftOut.map((left) =>
            typeof left === 'string' ? { vm: left, why: 'the failover had left it out' } : left,
          ),
        }),
  };
}

/** @returns undefined where the run was asked for without a plan */
function endOf(
  kind: EvidenceEnd['kind'],
  request: RunRequest,
): Omit<EvidenceEnd, 'ended' | 'failure' | 'figures'> | undefined {
  if (typeof request?.plan !== 'string') return undefined;
  const { workflowId, runId, firstExecutionRunId: firstRunId } = workflowInfo();
  return { plan: request.plan, kind, workflowId, runId, firstRunId, endedAt: new Date().toISOString() };
}

/** Also where the run is cancelled. Runs that began before there was evidence leave none. */
function write(making: EvidenceInMaking, end: EvidenceEnd | undefined): Promise<WithEvidence> {
  return CancellationScope.nonCancellable(async () => {
    if (end === undefined || !patched('evidence')) return {};
    try {
      await making.lookAgain();
      const evidence = await control.writeEvidence(end);
      // It is null of a run that did not come as far as its plan.
      return evidence ? { evidence } : {};
    } catch (error) {
      const noEvidence = `the evidence of the run could not be written: ${causeMessage(error)}`;
      log.error(noEvidence);
      return { noEvidence };
    }
  });
}
