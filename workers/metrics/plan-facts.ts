import { mapAhead } from '../../blocks/pipeline';
import { type Severity, type Verdict } from '../../plan/readiness';
import { type PlanPhase } from '../../plan/run';
import { type DrPlan } from '../../plan/schema';
import { DamagedObjectError } from '../../repository/objects/json-object';
import { type ObjectStore } from '../../repository/objects/object-store';
import { readPlanState } from '../../repository/plans/plan-state';
import { loadPlan, PlanNotFoundError, publishedPlans } from '../../repository/plans/plans';
import { readReadiness, type ReadinessRecord } from '../../repository/plans/readiness-record';
import { sample, type Sample, stateSamples, unixSeconds } from './catalogue';
import { type Facts } from './facts';

const PHASES: readonly (PlanPhase | 'none')[] = [
  'none',
  'protected',
  'failing-over',
  'failed-over',
  'failing-back',
  'failed-back',
];

/** `not verified`: there is no check of the plan as it is now, or what is kept of it cannot be read. */
type ShownVerdict = Verdict | 'not verified';
const VERDICTS: readonly ShownVerdict[] = ['ready', 'ready with warnings', 'not ready', 'not verified'];
const SEVERITIES: readonly Severity[] = ['impossible', 'warning'];

/** Plans looked at side by side: a look is no haste. */
const AT_ONCE = 4;

/** What the repository says of every plan in it. */
export function planFacts(store: ObjectStore): Facts {
  return {
    source: 'repository',
    async look() {
      const samples: Sample[] = [];
      for await (const found of mapAhead(await publishedPlans(store), AT_ONCE, (plan) =>
        factsOf(store, plan),
      ))
        samples.push(...found);
      return samples;
    },
  };
}

async function factsOf(store: ObjectStore, name: string): Promise<Sample[]> {
  try {
    const { plan, digest } = await loadPlan(store, name);
    const state = await readPlanState(store, name);
    return [
      ...planSamples(plan),
      ...stateSamples(PHASES, state?.phase ?? 'none', (phase, value) =>
        sample('lifeboat_plan_phase', { plan: name, phase }, value),
      ),
      ...readinessSamples(name, digest, await readReadiness(store, name)),
    ];
  } catch (error) {
    // One plan that cannot be read hides no other; nothing is known of it, and least of all that it is ready.
    if (!(error instanceof DamagedObjectError || error instanceof PlanNotFoundError)) throw error;
    return verdictSamples(name, 'not verified');
  }
}

function planSamples({ name: plan, vms, objectives, replication }: DrPlan): Sample[] {
  const { rpo, rto } = objectives ?? {};
  return [
    ...vms.map(({ name: vm }) => sample('lifeboat_vm_info', { plan, vm }, 1)),
    ...(rpo === undefined ? [] : [sample('lifeboat_rpo_objective_seconds', { plan }, rpo)]),
    ...(rto === undefined ? [] : [sample('lifeboat_rto_objective_seconds', { plan }, rto)]),
    sample('lifeboat_replication_frequency_seconds', { plan }, replication.frequency),
  ];
}

function readinessSamples(plan: string, digest: string, record: ReadinessRecord | undefined): Sample[] {
  const { check, lastTest } = record ?? {};
  const tested = lastTest?.digest === digest ? 1 : 0;
  return [
    ...verdictSamples(plan, check?.digest === digest ? check.verdict : 'not verified'),
    sample('lifeboat_plan_tested', { plan }, tested),
    ...(check === undefined
      ? []
      : [
          sample('lifeboat_check_timestamp_seconds', { plan }, unixSeconds(check.checkedAt)),
          ...SEVERITIES.map((severity) =>
            sample(
              'lifeboat_findings',
              { plan, severity },
              check.findings.filter((finding) => finding.severity === severity).length,
            ),
          ),
        ]),
    ...(lastTest === undefined
      ? []
      : [
          sample('lifeboat_test_timestamp_seconds', { plan }, unixSeconds(lastTest.testedAt)),
          sample('lifeboat_test_rto_seconds', { plan }, lastTest.rtoSeconds),
        ]),
  ];
}

const verdictSamples = (plan: string, present: ShownVerdict): Sample[] =>
  stateSamples(VERDICTS, present, (verdict, value) =>
    sample('lifeboat_plan_readiness', { plan, verdict }, value),
  );
