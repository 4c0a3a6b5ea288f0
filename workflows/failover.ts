import { ApplicationFailure, patched } from '@temporalio/workflow';
import { type DrCopy } from '../activities/aws-proxy/account/contract';
import { wantsFence } from '../plan/fence';
import { type PlanPhase, type RunContext } from '../plan/run';
import { awsProxy, control } from './run/activities';
import { Attention, type OnFailure, requireOnFailure } from './run/attention';
import { begin, type BegunRun, requirePhase, type RunRequest, take } from './run/begin';
import { compensating, type Compensations } from './run/compensation';
import { addBootScripts } from './boot-scripts';
import { ConsoleEvidenceOfRun } from './console-evidence';
import { moveDns, NO_DNS, proveDns, returnDns } from './dns';
import { type RecoveredVm } from './failover-vm';
import { recoverVms } from './recover-vms';
import { type FailoverMode } from './run/ids';
import { noted } from './noted-test';
import { bringLastState, type LastState } from './planned-shutdown';
import { allowRetries } from './run/retries';
import { RunProgress } from './run/run-status';
import { ServedImages } from './served-images';
import { type LeftFence, startFence } from './start-fence';

export interface FailoverRequest extends RunRequest {
  /** `planned`: the VMs are shut down at home first, so that nothing they wrote is lost. */
  mode: FailoverMode;
  /**
   * Where a person has to mend something, a failover in a disaster waits for it (the default), or takes itself back. A
   * test always takes itself back: that it failed is what it was to find out.
   */
  onFailure?: OnFailure;
}

export interface FailoverSummary {
  plan: string;
  mode: FailoverMode;
  vms: RecoveredVm[];
  /** Seconds between the recovery points and the start of the run: what was lost, at most. 0 where it was planned. */
  rpoSeconds: number;
  /** Seconds from the start of the run until the last VM was ready and (unless a test) DNS had moved. */
  rtoSeconds: number;
  /** Of a planned failover: seconds from the shutdown at home until the application served again. */
  downtimeSeconds?: number;
  /** Ids of what a test removed. */
  removed: string[];
  /** What a person should know of DNS, one sentence each; absent where there is nothing. */
  notes?: string[];
  /** What keeps the VMs off at home from now on; absent where nothing does. */
  fence?: LeftFence;
}

const MODES: readonly FailoverMode[] = ['disaster', 'planned', 'test'];

/** Brings the plan's application up at the recovery site. */
export async function failover(request: FailoverRequest): Promise<FailoverSummary> {
  if (!MODES.includes(request?.mode))
    throw ApplicationFailure.nonRetryable(
      'Say which failover: {"plan": "…", "mode": "disaster"}, "planned" or "test".',
      'BadRequest',
    );
  const test = request.mode === 'test';
  const planned = request.mode === 'planned';
  const from: PlanPhase[] = planned ? ['protected'] : ['protected', 'failing-over'];
  const onFailure = test ? 'undo' : requireOnFailure(request.onFailure);
  const started = Date.now();
  const begun = await begin(request);
  if (test) begun.run.test = true;
  const { plan } = begun;
  const progress = new RunProgress(
    plan.name,
    plan.vms.map((vm) => vm.name),
  );
  /** What of the VMs is known only after all of them are up: how their boot scripts ended, and what their consoles show. */
  const tell = async (
    run: RunContext,
    recovered: ReadonlyMap<string, RecoveredVm>,
    consoles: ConsoleEvidenceOfRun,
  ): Promise<Map<string, RecoveredVm>> =>
    consoles.addTo(
      await addBootScripts(run, plan, recovered, () => progress.phase("reading boot scripts' exit statuses")),
      () => progress.phase('keeping what the consoles show'),
    );
  if (!test) requirePhase(begun, from, 'fail over');

  progress.phase('checking');
  let ready = await awsProxy.checkFailover({ run: begun.run, plan, test });
  let downSince: number | undefined;

  const { recovered, images, consoles, dns, removed } = await compensating(async (compensations) => {
    if (planned) {
      const last = await bringLastState(begun, progress, compensations);
      progress.phase('checking again');
      ready = await awsProxy.checkFailover({ run: begun.run, plan, test });
      requireLast(ready.drCopies, last);
      ({ downSince } = last);
    }
    // A test changes nothing of the plan, so it holds nothing.
    const run = test ? begun.run : await takeForFailover(begun, from, compensations);
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
    const consoles = new ConsoleEvidenceOfRun(run);
    const recovered = await recoverVms({
      ...{ run, plan, test, ...ready, onFailure, attention, progress, images },
      onReady: consoles.add,
    });
    if (test) {
      const told = await tell(run, recovered, consoles);
      progress.phase('removing the test');
      await images.removed(recovered);
      const { removed } = await awsProxy.removeRecoveryResources({ run });
      return { recovered: told, images, consoles, dns: NO_DNS, removed };
    }

    progress.phase('moving DNS');
    compensations.add('return DNS', () => returnDns(run, plan));
    const dns = await attention.step(() => moveDns(run, plan, recovered));
    // Not before: until now the VMs at home, where there are any, are the only ones that serve for sure.
    await control.movePlanState({ run, to: 'failed-over', fence: !planned && wantsFence(plan) });
    return { recovered, images, consoles, dns, removed: [] };
  });

  const fence =
    request.mode === 'disaster' && patched('fences') ? await startFence(begun.run, plan) : undefined;
  let servingSince = Math.max(...[...recovered.values()].map(({ readyAt }) => Date.parse(readyAt)));
  const notes = [...(ready.notes ?? [])];
  if (!test) {
    progress.phase('asking the name servers');
    try {
      notes.push(...(await proveDns(plan, dns, 'recovery site')));
      servingSince = Date.now();
    } finally {
      await images.removed(recovered);
    }
  }
  const told = test ? recovered : await tell(begun.run, recovered, consoles);
  const rtoSeconds = seconds(servingSince - started);
  progress.phase(test ? await noted(begun.run, rtoSeconds) : 'done');
  return {
    plan: plan.name,
    mode: request.mode,
    vms: [...told.values()],
    rpoSeconds: planned ? 0 : seconds(started - oldestOf(ready.drCopies)),
    rtoSeconds,
    ...(downSince === undefined ? {} : { downtimeSeconds: seconds(servingSince - downSince) }),
    removed,
    ...(notes.length === 0 ? {} : { notes }),
    ...(fence === undefined ? {} : { fence }),
  };
}

const seconds = (milliseconds: number): number => Math.round(milliseconds / 100) / 10;

const oldestOf = (drCopies: DrCopy[]): number =>
  Math.min(...drCopies.map(({ takenAt }) => Date.parse(takenAt)));

/** What boots must be what the VMs held when they were shut down, and nothing older. */
function requireLast(drCopies: DrCopy[], { recoveryPoints }: LastState): void {
  const others = drCopies.filter(({ vm, recoveryPoint }) => recoveryPoints.get(vm) !== recoveryPoint);
  if (others.length > 0)
    throw ApplicationFailure.nonRetryable(
      `The DR copy is not of the last backup, of after the shutdown: ${others.map(({ vm }) => vm).join(', ')}. Start the planned failover again.`,
      'NotReadyForFailover',
    );
}

/** The plan's state, given back when the failover fails: the application still belongs to the primary site. */
async function takeForFailover(
  begun: BegunRun,
  from: PlanPhase[],
  compensations: Compensations,
): Promise<RunContext> {
  const run = await take(begun, from, 'failing-over');
  compensations.add("give the plan's state back", () => control.movePlanState({ run, to: 'protected' }));
  return run;
}
