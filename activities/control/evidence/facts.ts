import { lifeboatVersion } from '../../../host/version';
import { type LastTest, type KeptCheck } from '../../../plan/readiness';
import { type RepositoryAddress } from '../../../plan/run';
import { type DrPlan } from '../../../plan/schema';
import { subnetsOf } from '../../../plan/recovery-site/subnets';
import { type Evidence, type EvidenceFacts } from '../../../repository/evidence/document';
import { type EvidenceEnd } from '../contract';
import { deviationsOf } from './deviations';
import { dnsOf } from './dns-facts';
import { hooksOf } from './hooks';
import { peopleOf } from './people';
import { costOf, resourcesOf } from './resources';
import { type RunFacts } from './run-facts';
import { instant } from './times';
import { textAt, textsAt, told, toldOrNull } from './values';
import { type ConsoleFacts, copyOf, type ObjectFacts, type PointFacts, vmsOf } from './vm-facts';

type Kind = Evidence['run']['kind'];

/** All that a document is made of. */
export interface Sources {
  end: EvidenceEnd;
  facts: RunFacts;
  plan: DrPlan;
  digest: string;
  repository: RepositoryAddress;
  /** The completed test before this run. */
  lastTest: Pick<LastTest, 'digest' | 'runId' | 'testedAt'> | undefined;
  /** ISO 8601, UTC: the end of the last test that proved the whole plan, this run's among them; absent where there was none. */
  provenAt?: string;
  check: KeptCheck | undefined;
  points: ReadonlyMap<string, PointFacts>;
  /** By VM. */
  consoles: ReadonlyMap<string, ConsoleFacts>;
  objects: ReadonlyMap<string, ObjectFacts>;
}

const SCENARIOS: Record<Kind, string> = {
  'test failover':
    'The application is brought up in the test network beside the one that serves, without a change of DNS, and removed again.',
  failover:
    'The primary site counts as lost: the application is brought up at the recovery site, and DNS moves there.',
  'planned failover':
    'The VMs are shut down at the primary site and replicated a last time; the application is brought up at the recovery site, and DNS moves there.',
  failback: 'The application is brought home from the recovery site, and DNS moves back.',
  undo: 'A failover, or a failback that was not committed, is taken back: what served before it serves again.',
};

/** What the run says of itself, for its document. */
export function evidenceOf(sources: Sources): EvidenceFacts {
  const { end, facts, plan, digest, lastTest, provenAt, check } = sources;
  const kind = kindOf(end, facts);
  const test = kind === 'test failover';
  const failover = end.kind === 'failover';
  const stays = failover && !test && end.ended === 'completed';
  const { run } = facts.history;
  const endedAt = instant(end.endedAt);
  const { figures = {} } = end;
  const vms = vmsOf({ ...sources, test, leftOut: figures.leftOut ?? [] });
  const objectives = objectivesOf(plan, failover ? figures : {}, figures.downtimeSeconds);
  const site = test ? plan.recoverySite.test : plan.recoverySite.production;
  const sum = (values: (number | null)[]): number | null =>
    values.length === 0 || values.includes(null)
      ? null
      : values.reduce<number>((all, one) => all + (one ?? 0), 0);
  const copied = facts.steps.flatMap(copyOf);
  return {
    schemaVersion: 1,
    plan: {
      name: plan.name,
      digest,
      lastTest:
        lastTest === undefined
          ? null
          : {
              runId: told(lastTest.runId),
              endedAt: instant(lastTest.testedAt),
              samePlan: lastTest.digest === digest,
            },
    },
    run: {
      ...{ runId: end.firstRunId, workflowId: end.workflowId, kind, scenario: SCENARIOS[kind] },
      startedAt: run.startedAt,
      endedAt,
      seconds: Math.round((Date.parse(endedAt) - Date.parse(run.startedAt)) / 100) / 10,
      clock: "the Temporal server's, of steps and messages; the guests' and AWS's where those tell a time",
      historyEvents: run.events,
    },
    outcome: {
      ended: end.ended,
      failure: toldOrNull(end.failure),
      notes: (figures.notes ?? []).map(told),
    },
    objectives,
    people: peopleOf(facts),
    site: {
      region: told(plan.recoverySite.region),
      subnets: subnetsOf(site).map(told),
      securityGroups: site.securityGroups.map(told),
      kmsKey: toldOrNull(plan.recoverySite.kmsKey),
      repository: told(`s3://${sources.repository.bucket}/${sources.repository.prefix}`),
    },
    vms,
    timeline: facts.steps.map(({ vm, activity, label, from, to, tries, outcome, error, worker }) => ({
      ...{
        vm: toldOrNull(vm),
        step: told(activity),
        label: told(label),
        from,
        to: to ?? null,
        tries,
        outcome,
      },
      ...{ error: error === undefined ? null : told(error), worker: toldOrNull(worker) },
    })),
    dns: dnsOf(facts, plan),
    integrity: {
      statement: failover
        ? 'DR copies that a failover takes were complete and verified when they were published: each block was checked against its SHA-256 when it was read, and EBS checked what was written (docs/decisions/0013). This run did not read them back.'
        : 'What was copied home are blocks of the snapshots that the run made of the instances. That the disks were compared with them afterwards is not recorded.',
      dataBlocks: sum(vms.map(({ recoveryPoint }) => recoveryPoint?.dataBlocks ?? null)),
      copiedBlocks: copied.length === 0 ? null : copied.reduce((all, { blocks }) => all + blocks, 0),
    },
    hooks: hooksOf(facts),
    preflight: { ...preflightOf(facts), lastCheck: lastCheckOf(check, digest) },
    resources: resourcesOf(facts, stays),
    cost: costOf(facts, plan, stays),
    deviations: deviationsOf(facts, vms, objectives, end),
    versions: {
      lifeboat: lifeboatVersion(),
      temporalSdk: [
        ...new Set(
          [run, ...facts.history.children.map(({ history }) => history)].flatMap(({ sdks }) => sdks),
        ),
      ].map(told),
      awsProxy: toldOrNull(check?.proxies.aws?.version),
      backupProxy: toldOrNull(check?.proxies.backup?.version),
      proxiesAsOf: check === undefined ? null : instant(check.checkedAt),
    },
    nextTestDue: nextTestOf(plan, provenAt),
  };
}

/** @returns null where the plan does not say how often it is tested, or there is no test to count from */
function nextTestOf({ objectives }: DrPlan, provenAt: string | undefined): string | null {
  const every = objectives?.testEvery;
  if (every === undefined || provenAt === undefined) return null;
  return new Date(Date.parse(provenAt) + every * 1000).toISOString();
}

function kindOf(end: EvidenceEnd, facts: RunFacts): Kind {
  if (end.kind !== 'failover') return end.kind;
  const mode = textAt(facts.history.run.argument, 'mode');
  return mode === 'test' ? 'test failover' : mode === 'planned' ? 'planned failover' : 'failover';
}

function objectivesOf(
  { objectives }: DrPlan,
  measured: { rpoSeconds?: number; rtoSeconds?: number },
  downtimeSeconds: number | undefined,
): Evidence['objectives'] {
  const rpo = against(objectives?.rpo, measured.rpoSeconds);
  const rto = against(objectives?.rto, measured.rtoSeconds);
  const verdicts = [rpo.verdict, rto.verdict];
  const verdict =
    verdicts.find((one) => one === 'missed') ??
    verdicts.find((one) => one === 'not measured') ??
    verdicts.find((one) => one === 'met') ??
    'no objective';
  return { verdict, rpo, rto, downtimeSeconds: downtimeSeconds ?? null };
}

function against(
  objectiveSeconds: number | undefined,
  measuredSeconds: number | undefined,
): Evidence['objectives']['rpo'] {
  const verdict =
    objectiveSeconds === undefined
      ? 'no objective'
      : measuredSeconds === undefined
        ? 'not measured'
        : measuredSeconds <= objectiveSeconds
          ? 'met'
          : 'missed';
  return { objectiveSeconds: objectiveSeconds ?? null, measuredSeconds: measuredSeconds ?? null, verdict };
}

function preflightOf(facts: RunFacts): Omit<Evidence['preflight'], 'lastCheck'> {
  const checked = facts.of('checkFailover', 'checkPrimarySite').at(-1);
  if (checked === undefined) return { passed: null, notes: [], failure: null };
  return {
    passed: checked.outcome === 'done' ? true : checked.outcome === 'failed' ? false : null,
    notes: textsAt(checked.result, 'notes'),
    failure: checked.outcome === 'done' ? null : toldOrNull(checked.error),
  };
}

function lastCheckOf(check: KeptCheck | undefined, digest: string): Evidence['preflight']['lastCheck'] {
  if (check === undefined) return null;
  return {
    at: instant(check.checkedAt),
    verdict: check.verdict,
    samePlan: check.digest === digest,
    findings: check.findings.map(({ code, severity, vm, text, todo, since }) => ({
      ...{ code: told(code), severity, vm: toldOrNull(vm), text: told(text) },
      ...{ todo: told(todo), since: instant(since) },
    })),
  };
}
