import { ApplicationFailure, patched, workflowInfo } from '@temporalio/workflow';
import { type DrCopy } from '../activities/aws-proxy/account/contract';
import { type HookResult } from '../activities/hooks/contract';
import { wantsFence } from '../plan/fence';
import { isKeep, KEEP_FORM } from '../plan/keep';
import { type ChosenLine, type PointChoice } from '../plan/lines';
import { measured, type MeasuredObjectives } from '../plan/objectives';
import { partOf } from '../plan/part';
import { type FindingCode, FORCEABLE, isForceable } from '../plan/readiness';
import { type PlanPhase, type RunContext } from '../plan/run';
import { type DrPlan } from '../plan/schema';
import { someOf } from '../plan/some-of';
import { awsProxy, control } from './run/activities';
import { Attention, type OnFailure, requireOnFailure } from './run/attention';
import { begin, type BegunRun, requirePhase, type RunRequest, take } from './run/begin';
import { compensating, type Compensations } from './run/compensation';
import { addBootScripts } from './boot-scripts';
import { ConsoleEvidenceOfRun } from './console-evidence';
import { type EvidenceInMaking, leavingEvidence, type WithEvidence } from './evidence';
import { moveDns, NO_DNS, proveDns, returnDns } from './dns';
import { type RecoveredVm } from './failover-vm';
import { Hooks, hooksOf, hookVm } from './hooks';
import { Keeping, type KeptTest, removeOverdueTests } from './kept-test';
import { LeavingOut, type LeftOutVm } from './leaving-out';
import { PointCopies, requireChoice } from './recovery-points';
import { recoverVms } from './recover-vms';
import { planWithout } from '../plan/without';
import { Decisions, requireDeciding } from './run/decisions';
import { type FailoverMode, testedPlan } from './run/ids';
import { type Approval, type Deciding } from './run/messages';
import { noted } from './noted-test';
import { bringLastState, type LastState } from './planned-shutdown';
import { allowRetries } from './run/retries';
import { RunProgress } from './run/run-status';
import { seconds } from './run/seconds';
import { ServedImages } from './served-images';
import { type LeftFence, startFence } from './start-fence';

/** With `at` or `point`, an older (or newer) recovery point than the DR copies': see {@link PointChoice}. */
export interface FailoverRequest extends RunRequest, PointChoice {
  /** `planned`: the VMs are shut down at home first, so that nothing they wrote is lost. */
  mode: FailoverMode;
  /**
   * Where a person has to mend something, a failover in a disaster waits for it (the default), or takes itself back. A
   * test always takes itself back: that it failed is what it was to find out.
   */
  onFailure?: OnFailure;
  /** Who has approved beforehand all that the plan wants approved, and why; without it, each is asked for. */
  approveAll?: Deciding;
  /** What it does not stop at before it begins, although it is wrong; of {@link FORCEABLE}. */
  force?: FindingCode[];
  /** Of a test: seconds for which it stays up when it is ready, unless somebody ends it before. Removed at once where this is absent. */
  keep?: number;
  /** Of a test: VMs of the plan that it is of, with those that they depend on; all where this is absent. */
  vms?: string[];
}

export interface FailoverSummary extends WithEvidence {
  plan: string;
  mode: FailoverMode;
  vms: RecoveredVm[];
  /** Where recovery points were chosen: how, and the latest instant of them. */
  chosen?: ChosenLine;
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
  /** VMs that the application runs without; absent where all are up. */
  leftOut?: LeftOutVm[];
  /** What people approved; absent where nothing was to be. */
  approvals?: Approval[];
  /** What it would have stopped at before it began, had it not been forced; absent where there was nothing. */
  overridden?: string[];
  /** The plan's objectives, and whether they were met; absent where it has none. */
  objectives?: MeasuredObjectives;
  /** Of a test that was of a part of the plan: its VMs. It does not show that the whole plan comes up. */
  part?: string[];
  /** Of a test that stays up, or stayed up; absent otherwise. */
  kept?: KeptTest;
  /** How the plan's hooks ended; absent where there were none. */
  hooks?: HookResult[];
}

/** What the end of a run, or of its work before it is kept, is told by. */
interface RunEnd {
  recovered: ReadonlyMap<string, RecoveredVm>;
  removed: string[];
  leftOut: LeftOutVm[];
  hooks: Hooks;
  kept: KeptTest | undefined;
  rtoSeconds: number;
  downtimeSeconds?: number;
  fence?: LeftFence | undefined;
  dnsNotes?: string[];
}

const MODES: readonly FailoverMode[] = ['disaster', 'planned', 'test'];

/** Brings the plan's application up at the recovery site. */
export function failover(request: FailoverRequest): Promise<FailoverSummary> {
  return leavingEvidence('failover', request, (evidence) => failOver(request, evidence));
}

async function failOver(request: FailoverRequest, evidence: EvidenceInMaking): Promise<FailoverSummary> {
  if (!MODES.includes(request?.mode))
    throw ApplicationFailure.nonRetryable(
      'Say which failover: {"plan": "…", "mode": "disaster"}, "planned" or "test".',
      'BadRequest',
    );
  const test = request.mode === 'test';
  requireOwnId(request);
  const planned = request.mode === 'planned';
  const from: PlanPhase[] = planned ? ['protected'] : ['protected', 'failing-over'];
  const choice = requireChoice(request);
  const onFailure = test ? 'undo' : requireOnFailure(request.onFailure);
  if (request.approveAll !== undefined) requireApproveAll(request.approveAll);
  if (request.force !== undefined) requireForce(request.force);
  requireOfTest(request);
  const started = Date.now();
  const begun = await begin(request);
  if (test) begun.run.test = true;
  const plan = request.vms === undefined ? begun.plan : requirePart(begun.plan, request.vms);
  const isPart = plan.vms.length < begun.plan.vms.length;
  const progress = new RunProgress(
    plan.name,
    plan.vms.map((vm) => vm.name),
  );
  const decisions = new Decisions(progress, request.approveAll);
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
  const keeping = request.keep === undefined ? undefined : new Keeping(request.keep, progress);
  const ofPlan = hooksOf(plan, test ? 'test' : 'failover', planned);
  const earlier = test ? await removeOverdueTests(begun.run, progress) : [];

  /** When the hooks had ended that come before the application serves. */
  let hooksEndedAt: number | undefined;

  progress.phase('checking');
  const chosen =
    choice &&
    (await awsProxy.choosePoints({ run: begun.run, vms: plan.vms.map(({ name }) => name), choice }));
  const force = request.force === undefined ? {} : { force: request.force };
  const points = chosen === undefined ? {} : { points: chosen.points };
  // Launch copies are of the whole plan.
  const whole = isPart ? { whole: begun.plan } : {};
  let ready = await awsProxy.checkFailover({ run: begun.run, plan, test, ...points, ...whole, ...force });
  if (test) await evidence.lookAtDns(plan);
  let downSince: number | undefined;

  // A test that was without a VM has not shown that all of the plan comes up, nor has one of older recovery points tried the guests of today.
  const proves = (leftOut: LeftOutVm[]): boolean =>
    test && !isPart && leftOut.length === 0 && chosen === undefined;
  const summaryOf = (end: RunEnd): FailoverSummary => {
    const { recovered, leftOut, hooks, kept, fence } = end;
    const vms = [...recovered.values()];
    const notes = [...earlier, ...(ready.notes ?? []), ...(end.dnsNotes ?? [])];
    const rpoSeconds = planned ? 0 : seconds(started - oldestOf(ready.drCopies));
    const objectives = measured(plan.objectives, { rpoSeconds, rtoSeconds: end.rtoSeconds });
    const hookResults = [...vms.flatMap((vm) => vm.hooks ?? []), ...(hooks.results ?? [])];
    return {
      plan: plan.name,
      mode: request.mode,
      vms: vms.map(({ hooks: _, ...vm }) => vm),
      ...(chosen === undefined ? {} : { chosen: chosen.line }),
      rpoSeconds,
      rtoSeconds: end.rtoSeconds,
      ...(objectives === undefined ? {} : { objectives }),
      ...(end.downtimeSeconds === undefined ? {} : { downtimeSeconds: end.downtimeSeconds }),
      removed: end.removed,
      ...(notes.length === 0 ? {} : { notes }),
      ...(fence === undefined ? {} : { fence }),
      ...(leftOut.length === 0 ? {} : { leftOut }),
      ...(decisions.approvals.length === 0 ? {} : { approvals: decisions.approvals }),
      ...(ready.overridden === undefined ? {} : { overridden: ready.overridden }),
      ...(isPart ? { part: plan.vms.map(({ name }) => name) } : {}),
      ...(kept === undefined ? {} : { kept }),
      ...(hookResults.length === 0 ? {} : { hooks: hookResults }),
    };
  };

  const { recovered, images, consoles, dns, removed, leftOut, hooks, kept } = await compensating(
    async (compensations) => {
      compensations.tell();
      if (planned) {
        const last = await bringLastState(begun, progress, compensations);
        progress.phase('checking again');
        ready = await awsProxy.checkFailover({ run: begun.run, plan, test, ...force });
        requireLast(ready.drCopies, last);
        ({ downSince } = last);
      }
      // A test changes nothing of the plan, so it holds nothing.
      const run = test ? begun.run : await takeForFailover(begun, from, compensations, chosen?.line);
      const attention = new Attention(run, onFailure, (problem) => progress.problem(problem));
      allowRetries(progress, attention);
      compensations.add('remove what the run made', () => awsProxy.removeRecoveryResources({ run }));
      if (begun.phase === 'failing-over' && !test) {
        // Its run has died with its orchestrator; taking the state has fenced it off, so what it made can go.
        progress.phase('removing an unfinished failover');
        await awsProxy.removeRecoverySite({ run });
      }

      if (ready.toCopy !== undefined) {
        progress.phase('copying recovery points');
        const copies = new PointCopies(run, plan, ready.toCopy);
        const copied = await attention.step(() => copies.make());
        ready = { ...ready, drCopies: [...ready.drCopies, ...copied] };
      }

      progress.phase('recovering VMs');
      const images = new ServedImages(run);
      const consoles = new ConsoleEvidenceOfRun(run);
      const leavingOut = new LeavingOut(run, plan, progress);
      const hooks = new Hooks(run, ofPlan);
      const recovered = await recoverVms({
        ...{ run, plan, test, ...ready, onFailure, attention, progress, images, decisions, leavingOut },
        hooks: ofPlan,
        onReady: consoles.add,
      });
      const leftOut = leavingOut.vms;
      const up = [...recovered.values()].map(hookVm);
      if (hooks.has('afterReady')) {
        progress.phase('running hooks: all VMs are up');
        await attention.step(() => hooks.require('afterReady', up));
        hooksEndedAt = Date.now();
      }
      if (test) {
        decisions.refusePauses(
          'All VMs are up, and the test is being removed; there is nothing left to hold.',
        );
        const told = await tell(run, recovered, consoles);
        let kept: KeptTest | undefined;
        if (keeping !== undefined) {
          // An image would keep snapshots from being deleted that replication replaces meanwhile.
          await images.removed(recovered);
          const rtoSeconds = seconds(servedSince(recovered, hooksEndedAt) - started);
          if (proves(leftOut)) await noted(run, rtoSeconds, ready);
          kept = await keeping.keep(
            run,
            rtoSeconds,
            (now) => summaryOf({ recovered: told, removed: [], leftOut, hooks, kept: now, rtoSeconds }),
            (text) => earlier.push(text),
          );
        }
        if (hooks.has('beforeCleanUp')) {
          progress.phase('running hooks: before the clean-up');
          await hooks.require('beforeCleanUp', up);
        }
        progress.phase('removing the test');
        if (keeping === undefined) await images.removed(recovered);
        const { removed } = await awsProxy.removeRecoveryResources({ run });
        if (hooks.has('afterCleanUp')) {
          progress.phase('running hooks: after the clean-up');
          await hooks.require('afterCleanUp', []);
        }
        return { recovered: told, images, consoles, dns: NO_DNS, removed, leftOut, hooks, kept };
      }

      const present = planWithout(plan, new Set(leftOut.map(({ vm }) => vm)));
      await untilDnsMayMove(present, decisions, progress);
      progress.phase('moving DNS');
      compensations.add('return DNS', () => returnDns(run, plan));
      const dns = await attention.step(() => moveDns(run, present, recovered));
      const without = leftOut.map(({ vm }) => vm);
      // Not before: until now the VMs at home, where there are any, are the only ones that serve for sure.
      await control.movePlanState({
        ...{ run, to: 'failed-over' as const, fence: !planned && wantsFence(plan) },
        ...(without.length === 0 ? {} : { without }),
      });
      return { recovered, images, consoles, dns, removed: [], leftOut, hooks, kept: undefined };
    },
  );

  let fence: LeftFence | undefined;
  let servingSince = servedSince(recovered, hooksEndedAt);
  const dnsNotes: string[] = [];
  if (!test) {
    try {
      if (request.mode === 'disaster' && patched('fences')) fence = await startFence(begun.run, plan);
      progress.phase('asking the name servers');
      dnsNotes.push(...(await proveDns(plan, dns, 'recovery site')));
      servingSince = Date.now();
    } finally {
      await images.removed(recovered);
    }
    if (hooks.has('afterDns')) {
      progress.phase('running hooks: DNS has moved');
      // The application serves: nothing is taken back for a hook any more.
      await hooks.runAll('afterDns', [...recovered.values()].map(hookVm));
    }
  }
  const told = test ? recovered : await tell(begun.run, recovered, consoles);
  const rtoSeconds = seconds(servingSince - started);
  const done = leftOut.length === 0 ? 'done' : `done without ${someOf(leftOut.map(({ vm }) => vm))}`;
  progress.phase(proves(leftOut) && kept === undefined ? await noted(begun.run, rtoSeconds, ready) : done);
  return summaryOf({
    ...{ recovered: told, removed, leftOut, hooks, kept, rtoSeconds, fence, dnsNotes },
    ...(downSince === undefined ? {} : { downtimeSeconds: seconds(servingSince - downSince) }),
  });
}

/** When the last VM was up, and the hooks had ended that the application's service waits for. */
const servedSince = (recovered: ReadonlyMap<string, RecoveredVm>, hooksEndedAt: number | undefined): number =>
  Math.max(...[...recovered.values()].map(({ readyAt }) => Date.parse(readyAt)), hooksEndedAt ?? 0);

/** What only a test can be asked for. @throws ApplicationFailure BadRequest */
function requireOfTest({ mode, keep, vms }: FailoverRequest): void {
  if (mode !== 'test' && (keep !== undefined || vms !== undefined))
    throw ApplicationFailure.nonRetryable('Only a test can be kept, or be of some VMs only.', 'BadRequest');
  if (keep !== undefined && !isKeep(keep))
    throw ApplicationFailure.nonRetryable(
      `Say in seconds for how long the test is kept, ${KEEP_FORM}: {"keep": 14400}.`,
      'BadRequest',
    );
}

/** @throws ApplicationFailure BadRequest */
function requirePart(plan: DrPlan, vms: unknown): DrPlan {
  if (!Array.isArray(vms) || vms.length === 0 || !vms.every((vm) => typeof vm === 'string'))
    throw ApplicationFailure.nonRetryable('Say which VMs the test is of: {"vms": ["web"]}.', 'BadRequest');
  try {
    return partOf(plan, vms);
  } catch (error) {
    throw ApplicationFailure.nonRetryable((error as Error).message, 'BadRequest');
  }
}

/**
 * Who may start a run is decided by its id (docs/security.md), which tells a test of this plan from a failover: no argument may make
 * something else of it.
 * @throws ApplicationFailure BadRequest
 */
function requireOwnId({ plan, mode }: FailoverRequest): void {
  const { workflowId } = workflowInfo();
  const of = testedPlan(workflowId);
  if (of !== undefined && (mode !== 'test' || plan !== of))
    throw ApplicationFailure.nonRetryable(
      `${workflowId} is the id of a test failover of the plan ${of}, and of nothing else.`,
      'BadRequest',
    );
}

/** @throws ApplicationFailure BadRequest */
function requireApproveAll(approveAll: unknown): void {
  try {
    requireDeciding(approveAll, '{"approveAll": {"by": "your name", "why": "the reason"}}');
  } catch (error) {
    throw ApplicationFailure.nonRetryable((error as Error).message, 'BadRequest');
  }
}

/** @throws ApplicationFailure BadRequest */
function requireForce(force: unknown): void {
  const bad = Array.isArray(force) ? force.find((code) => !isForceable(String(code))) : force;
  if (bad !== undefined || force === null)
    throw ApplicationFailure.nonRetryable(
      `force is a list of ${FORCEABLE.join(', ')}, not ${JSON.stringify(bad)}.`,
      'BadRequest',
    );
}

/** The last point at which people can hold a failover: what clients see is changed next. */
async function untilDnsMayMove(plan: DrPlan, decisions: Decisions, progress: RunProgress): Promise<void> {
  const asks = plan.dns?.approval === true;
  if (asks || decisions.isPaused) {
    progress.phase(asks ? 'all VMs are up; DNS waits for approval' : 'all VMs are up; paused');
    await decisions.pass(asks ? { dns: true } : undefined, 'move DNS to the recovery site');
  }
  decisions.refusePauses('All VMs are up and DNS is being moved; there is nothing left to hold.');
}

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
  chosen: ChosenLine | undefined,
): Promise<RunContext> {
  const run = await take(begun, from, 'failing-over', chosen === undefined ? {} : { chosen });
  compensations.add("give the plan's state back", () => control.movePlanState({ run, to: 'protected' }));
  return run;
}
