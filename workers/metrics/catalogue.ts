/**
 * Every metric of Lifeboat's own, by its name in Prometheus ("Metric and label naming", Prometheus documentation): base units, written
 * out, and points in time instead of ages, which are as right when they are read as when they were written. docs/monitoring.md
 * has the same table for people; a test holds the two together, and the rules and the dashboard in deploy/ to them.
 *
 * Labels are plans, VMs, roles and names of API actions: their number is that of plans, never that of runs.
 */
export const METRICS = {
  lifeboat_worker_info: {
    kind: 'gauge',
    labels: ['role', 'version'],
    help: 'Always 1; the version of Lifeboat that this worker runs.',
  },
  lifeboat_facts_timestamp_seconds: {
    kind: 'gauge',
    labels: ['source'],
    help: 'Unix time of the last good look at what the other metrics tell: the repository, temporal, or aws; 0 before the first.',
  },
  lifeboat_plan_phase: {
    kind: 'gauge',
    labels: ['plan', 'phase'],
    help: 'Where the application of the plan is: 1 for the phase that it is in, 0 for all others.',
  },
  lifeboat_plan_readiness: {
    kind: 'gauge',
    labels: ['plan', 'verdict'],
    help: 'Whether a failover would succeed: 1 for the verdict of the last check, 0 for all others.',
  },
  lifeboat_plan_tested: {
    kind: 'gauge',
    labels: ['plan'],
    help: 'Whether a test failover of this version of the plan succeeded: 1 or 0.',
  },
  lifeboat_findings: {
    kind: 'gauge',
    labels: ['plan', 'severity'],
    help: 'Findings of the last check.',
  },
  lifeboat_check_timestamp_seconds: {
    kind: 'gauge',
    labels: ['plan'],
    help: 'Unix time of the last check.',
  },
  lifeboat_test_timestamp_seconds: {
    kind: 'gauge',
    labels: ['plan'],
    help: 'Unix time of the last test failover that succeeded, of whatever version of the plan.',
  },
  lifeboat_test_rto_seconds: {
    kind: 'gauge',
    labels: ['plan'],
    help: 'Time that the last test failover that succeeded took until its last VM was ready.',
  },
  lifeboat_rpo_objective_seconds: {
    kind: 'gauge',
    labels: ['plan'],
    help: 'The oldest that a DR copy may be, as the plan says; absent where it does not.',
  },
  lifeboat_rto_objective_seconds: {
    kind: 'gauge',
    labels: ['plan'],
    help: 'The longest that a failover may take, as the plan says; absent where it does not.',
  },
  lifeboat_replication_frequency_seconds: {
    kind: 'gauge',
    labels: ['plan'],
    help: 'Time between two rounds of replication, as the plan says.',
  },
  lifeboat_replication_success_timestamp_seconds: {
    kind: 'gauge',
    labels: ['plan'],
    help: 'Unix time of the end of the last round of replication that succeeded.',
  },
  lifeboat_vm_info: {
    kind: 'gauge',
    labels: ['plan', 'vm'],
    help: 'Always 1; a VM that the plan protects.',
  },
  lifeboat_dr_copy_recovery_point_timestamp_seconds: {
    kind: 'gauge',
    labels: ['plan', 'vm'],
    help: 'Unix time of the recovery point that the DR copy of the VM holds.',
  },
  lifeboat_runs_waiting: {
    kind: 'gauge',
    labels: ['plan', 'reason'],
    help: 'Runs that wait for a person: to mend what failed (attention), to approve (approval), to resume (paused).',
  },
  lifeboat_copied_blocks_total: {
    kind: 'counter',
    labels: ['plan', 'vm', 'copy'],
    help: 'Blocks of 512 KiB that were copied, or read back and compared; counted when a disk, or a part of one, is through.',
  },
  lifeboat_copied_bytes_total: {
    kind: 'counter',
    labels: ['plan', 'vm', 'copy'],
    help: 'Bytes of these blocks on the side that they were written to: compressed in a backup.',
  },
  lifeboat_aws_requests_total: {
    kind: 'counter',
    labels: ['service', 'action'],
    help: 'Requests to AWS, each try of a call.',
  },
  lifeboat_aws_requests_throttled_total: {
    kind: 'counter',
    labels: ['service', 'action'],
    help: 'Requests that AWS refused because they came too fast; each is made again.',
  },
} as const satisfies Record<string, MetricDefinition>;

interface MetricDefinition {
  kind: 'gauge' | 'counter';
  labels: readonly string[];
  help: string;
}

type Metrics = typeof METRICS;
type OfKind<Kind> = {
  [Name in keyof Metrics]: Metrics[Name]['kind'] extends Kind ? Name : never;
}[keyof Metrics];
export type MetricName = keyof Metrics;
export type GaugeName = OfKind<'gauge'>;
export type CounterName = OfKind<'counter'>;
export type LabelsOf<Name extends MetricName> = Readonly<Record<Metrics[Name]['labels'][number], string>>;

/** What a gauge says. */
export interface Sample {
  name: GaugeName;
  labels: Readonly<Record<string, string>>;
  value: number;
}

export function sample<Name extends GaugeName>(name: Name, labels: LabelsOf<Name>, value: number): Sample {
  return { name, labels, value };
}

/** A state as Prometheus has it: a series for each that there is, of which one is 1. */
export function stateSamples<State extends string>(
  states: readonly State[],
  present: State,
  one: (state: State, value: number) => Sample,
): Sample[] {
  return states.map((state) => one(state, state === present ? 1 : 0));
}

/** Unix time of an instant in ISO 8601. */
export const unixSeconds = (instant: string): number => Date.parse(instant) / 1000;
