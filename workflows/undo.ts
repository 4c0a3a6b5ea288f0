import { ApplicationFailure } from '@temporalio/workflow';
import { type Undone } from '../plan/run';
import { leavingEvidence } from './evidence';
import { begin, type BegunRun, requirePhase } from './run/begin';
import { RunProgress } from './run/run-status';
import { undoFailback } from './undo-failback';
import { undoFailover } from './undo-failover';
import { type UndoRequest, type UndoSummary } from './undo-request';

/** Takes a completed failover back, or a failback that is not committed: whatever serves now gives way to what served before it. */
export function undo(request: UndoRequest): Promise<UndoSummary> {
  return leavingEvidence('undo', request, () => takeBack(request));
}

async function takeBack(request: UndoRequest): Promise<UndoSummary> {
  const begun = await begin(request);
  if (request.homeLost !== undefined && typeof request.homeLost !== 'boolean')
    throw ApplicationFailure.nonRetryable('"homeLost" must be true or false.', 'BadRequest');
  const progress = new RunProgress(
    begun.plan.name,
    begun.plan.vms.map(({ name }) => name),
  );
  switch (undoneBy(begun)) {
    case 'failover':
      if (request.homeLost === true)
        throw ApplicationFailure.nonRetryable(
          'A failover is undone to the VMs at home: it cannot be where the data centre is lost.',
          'BadRequest',
        );
      return undoFailover(begun, request, progress);
    case 'failback':
      return undoFailback(begun, request, progress);
  }
}

/** By the plan's phase; an undo that has died is gone on with. */
function undoneBy(begun: BegunRun): Undone {
  if (begun.phase === 'failing-back' && begun.state?.undoing !== undefined) return begun.state.undoing;
  requirePhase(begun, ['failed-over', 'failed-back'], 'undo what was done with');
  return begun.phase === 'failed-over' ? 'failover' : 'failback';
}
