import { ApplicationFailure } from '@temporalio/workflow';
import { type RunContext } from '../plan/run';
import { awsProxy, control } from './run/activities';
import { Attention, type OnFailure, requireOnFailure } from './run/attention';
import { begin, requirePhase, type RunRequest, take } from './run/begin';
import { compensating, type Compensations } from './run/compensation';
import { addBootScripts } from './boot-scripts';
import { moveDns, proveDns, returnDns } from './dns';
import { type RecoveredVm } from './failover-vm';
import { recoverVms } from './recover-vms';
import { allowRetries } from './run/retries';
import { RunProgress } from './run/run-status';
import { ServedImages } from './served-images';

export interface FailoverRequest extends RunRequest {
  /** `disaster` moves the application to the recovery site; `test` proves that it could, and removes everything. */
  mode: 'disaster' | 'test';
  /**
   * Where a person has to mend something, a failover in a disaster waits for it (the default), or takes itself back. A
   * test always takes itself back: that it failed is what it was to find out.
   */
  onFailure?: OnFailure;
}

export interface FailoverSummary {
  plan: string;
  mode: 'disaster' | 'test';
  vms: RecoveredVm[];
  /** Seconds between the recovery points and the start of the run: what was lost, at most. */
  rpoSeconds: number;
  /** Seconds from the start of the run until the last VM was ready and (unless a test) DNS had moved. */
  rtoSeconds: number;
  /** Ids of what a test removed. */
  removed: string[];
}

/** Brings the plan's application up at the recovery site. */
export async function failover(request: FailoverRequest): Promise<FailoverSummary> {
  if (request?.mode !== 'disaster' && request?.mode !== 'test')
    throw ApplicationFailure.nonRetryable(
      'Say which failover: {"plan": "…", "mode": "disaster"} or "test".',
      'BadRequest',
    );
  const test = request.mode === 'test';
  const onFailure = test ? 'undo' : requireOnFailure(request.onFailure);
  const started = Date.now();
  const begun = await begin(request);
  const { plan } = begun;
  const progress = new RunProgress(
    plan.name,
    plan.vms.map((vm) => vm.name),
  );
  const readingPhase = (): void => progress.phase("reading boot scripts' exit statuses");
  if (!test) requirePhase(begun, ['protected', 'failing-over'], 'fail over');

  progress.phase('checking');
  const { availabilityZone, drCopies, places } = await awsProxy.checkFailover({ run: begun.run, plan, test });
  const oldest = Math.min(...drCopies.map((copy) => Date.parse(copy.takenAt)));

  const { recovered, images, expected, removed } = await compensating(async (compensations) => {
    // A test changes nothing of the plan, so it holds nothing.
    const run = test ? begun.run : await takeForFailover(begun, compensations);
    const attention = new Attention(run, onFailure, (problem) => progress.problem(problem));
    allowRetries(progress, attention);
    compensations.add('remove what the run made', () => awsProxy.removeRecoveryResources({ run }));
    if (begun.phase === 'failing-over' && !test) {
      // Its run has died with its orchestrator; taking the state has fenced it off, so what it made can go.
      progress.phase('removing an unfinished failover');
      await awsProxy.removeRecoverySite({ run });
    }

    progress.phase('recovering VMs');
    const images = new ServedImages(run);
    const recovered = await recoverVms({
      ...{ run, plan, test, availabilityZone, drCopies, places, onFailure, attention, progress, images },
    });
    if (test) {
      const told = await addBootScripts(run, plan, recovered, readingPhase);
      progress.phase('removing the test');
      await images.removed(recovered);
      return { recovered: told, images, expected: [], ...(await awsProxy.removeRecoveryResources({ run })) };
    }

    progress.phase('moving DNS');
    compensations.add('return DNS', () => returnDns(run, plan));
    const expected = await attention.step(() => moveDns(run, plan, recovered));
    await control.movePlanState({ run, to: 'failed-over' });
    return { recovered, images, expected, removed: [] };
  });

  let servingSince = Math.max(...[...recovered.values()].map(({ readyAt }) => Date.parse(readyAt)));
  if (!test) {
    progress.phase('asking the name servers');
    try {
      await proveDns(plan, expected, 'recovery site');
      servingSince = Date.now();
    } finally {
      await images.removed(recovered);
    }
  }
  const told = test ? recovered : await addBootScripts(begun.run, plan, recovered, readingPhase);
  progress.phase('done');
  return {
    plan: plan.name,
    mode: request.mode,
    vms: [...told.values()],
    rpoSeconds: seconds(started - oldest),
    rtoSeconds: seconds(servingSince - started),
    removed,
  };
}

const seconds = (milliseconds: number): number => Math.round(milliseconds / 100) / 10;

/** The plan's state, given back when the failover fails: the application still belongs to the primary site. */
async function takeForFailover(
  begun: Awaited<ReturnType<typeof begin>>,
  compensations: Compensations,
): Promise<RunContext> {
  const run = await take(begun, ['protected', 'failing-over'], 'failing-over');
  compensations.add("give the plan's state back", () => control.movePlanState({ run, to: 'protected' }));
  return run;
}
