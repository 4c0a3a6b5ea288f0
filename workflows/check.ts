import { CancellationScope, isCancellation, patched, upsertSearchAttributes } from '@temporalio/workflow';
import { type CheckedReadiness } from '../activities/aws-proxy/readiness/contract';
import { type Finding, type KeptCheck } from '../plan/readiness';
import { type PlanPhase } from '../plan/run';
import { askEveryProxy } from './ask-every-proxy';
import { askProxies, zoneFindings } from './ask-proxies';
import { awsProxy, control } from './run/activities';
import { begin, type BegunRun, type RunRequest } from './run/begin';
import { causeMessage } from './run/failure-message';
import { readinessAttribute } from './run/messages';
import { RunProgress } from './run/run-status';
import { tellChanges } from './telling-standing';

export interface CheckSummary extends KeptCheck {
  plan: string;
}

/**
 * Asks beforehand for all that a failover of the plan will need, and keeps what is wrong. Takes no state and changes nothing at
 * either site, so it may run in any phase of the plan.
 */
export async function check(request: RunRequest): Promise<CheckSummary> {
  const begun = await begin(request);
  const { plan, run } = begun;
  const checkedAt = new Date().toISOString();
  const progress = new RunProgress(
    plan.name,
    plan.vms.map(({ name }) => name),
  );

  progress.phase('asking for the proxies');
  const { proxies, findings: proxyFindings } = await askProxies(run);

  progress.phase('looking at DR copies and account');
  const site = await lookAtSite(begun, proxies.aws !== undefined);
  const inZones = await zoneFindings(site.proxyZones);
  const each = patched('every-proxy') ? await askEveryProxy(begun, proxies, site.snapshotId) : undefined;

  progress.phase('keeping what was found');
  const kept = await control.keepCheck({
    run,
    checkedAt,
    proxies: { ...proxies, ...(each === undefined ? {} : { all: each.proxies }) },
    recoveryPoints: site.recoveryPoints,
    findings: [
      ...proxyFindings,
      ...inZones,
      ...(each?.findings ?? []),
      ...phaseFindings(begun),
      ...site.findings,
    ],
    ...(site.guests === undefined ? {} : { guests: site.guests }),
    ...(plan.objectives?.rto === undefined ? {} : { rto: plan.objectives.rto }),
    ...(plan.objectives?.testEvery === undefined ? {} : { testEvery: plan.objectives.testEvery }),
  });
  // Also where the check is cancelled now: the next one finds nothing new in what this one has kept.
  await CancellationScope.nonCancellable(() => tellChanges(plan, kept));
  upsertSearchAttributes([{ key: readinessAttribute, value: kept.verdict }]);
  for (const { name } of plan.vms) tellVm(progress, name, kept.findings);
  progress.phase(kept.verdict);
  return { plan: plan.name, ...kept };
}

/** What an AWS proxy sees of the recovery site. That it cannot look, which a failover could not either, is a finding. */
async function lookAtSite({ plan, run, phase }: BegunRun, answered: boolean): Promise<CheckedReadiness> {
  const nothing = { findings: [], recoveryPoints: {}, proxyZones: [] };
  // Told already; what it would see is not known.
  if (!answered) return nothing;
  const replicated = phase === 'protected' || phase === 'none';
  try {
    return await awsProxy.checkReadiness({ run, plan, replicated });
  } catch (error) {
    if (isCancellation(error)) throw error;
    const finding: Finding = {
      code: 'not-checked',
      severity: 'impossible',
      text: `The recovery site could not be looked at: ${causeMessage(error)}`,
      todo: "Mend what is told; a failover would stop at the same. docs/aws.md has the AWS proxy's permissions.",
      about: 'recovery site',
    };
    return { ...nothing, findings: [finding] };
  }
}

/** A plan whose application is not at home has nothing that could be failed over. */
function phaseFindings({ plan, phase, state }: BegunRun): Finding[] {
  if (phase === 'protected' || phase === 'none') return [];
  return [
    {
      code: 'plan-phase',
      severity: 'warning',
      text: `The plan ${plan.name} is ${phase}; its DR copies are not brought up to date.`,
      todo:
        state?.undoing === undefined
          ? TODO[phase]
          : 'Look at the undo, or start it again: lifeboat undo PLAN.',
    },
  ];
}

const TODO: Record<Exclude<PlanPhase, 'protected'>, string> = {
  'failing-over':
    'Look at the failover: lifeboat status PLAN. One whose run is lost is taken over by lifeboat failover PLAN.',
  'failed-over':
    'When the application is to be protected again: lifeboat failback PLAN, then lifeboat commit PLAN.',
  'failing-back':
    'Look at the failback: lifeboat status PLAN. One whose run is lost is taken over by lifeboat failback PLAN.',
  'failed-back': 'Look at the application, then: lifeboat commit PLAN.',
};

/** A row for each VM in the Web UI. */
function tellVm(progress: RunProgress, vm: string, findings: readonly Finding[]): void {
  const own = findings.filter((finding) => finding.vm === vm);
  const worst = own.find(({ severity }) => severity === 'impossible') ?? own[0];
  if (worst === undefined) progress.vm(vm, 'nothing found');
  else progress.vm(vm, worst.severity, worst.text);
}
