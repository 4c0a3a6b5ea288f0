import { changedSince, type Tested } from './tested';

/**
 * What a check of a plan says. `impossible` keeps a failover from succeeding; a `warning` does not, but somebody should mend it
 * before the day.
 */
export type Severity = 'impossible' | 'warning';

/** What a finding is about; documented in docs/cli.md, and never given another meaning. */
export type FindingCode =
  // What a failover asks before it begins.
  | 'region'
  | 'network'
  | 'test-network'
  | 'instance-type'
  | 'licensed-image'
  | 'dr-copy'
  | 'volume'
  | 'address'
  | 'instance-profile'
  | 'dns'
  | 'dr-copy-archived'
  | 'vcpu-quota'
  | 'ebs-quota'
  // What only a check asks.
  | 'dr-copy-age'
  | 'dr-copy-lock'
  | 'kms-key'
  | 'kms-key-unusable'
  | 'encryption-by-default'
  | 'launch-copy'
  | 'guest'
  | 'guest-not-tried'
  | 'probe-port'
  | 'permission'
  | 's3-endpoint'
  | 'recycle-bin'
  | 'aws-proxy'
  | 'aws-proxy-zone'
  | 'proxy-silent'
  | 'worker-version'
  | 'backup-proxy'
  | 'backup-proxy-repository'
  | 'version'
  | 'plan-phase'
  | 'rto'
  | 'test-overdue'
  | 'kept-test'
  /** Something could not be asked, or there is more than is told. */
  | 'not-checked';

/**
 * What a failover stops at, and goes on with all the same where a person says so: a VM that meets it waits for somebody to mend it, and
 * the others come up. Without a subnet or a DR copy there is nothing to go on with.
 */
export const FORCEABLE = [
  'instance-type',
  'licensed-image',
  'dr-copy-archived',
  'address',
  'instance-profile',
  'vcpu-quota',
  'ebs-quota',
  'dns',
] as const satisfies FindingCode[];

export const isForceable = (code: string): boolean => (FORCEABLE as readonly string[]).includes(code);

/** One thing that is wrong. */
export interface Finding {
  code: FindingCode;
  severity: Severity;
  /** Absent where it is not of one VM. */
  vm?: string;
  /** What is wrong, in one sentence. */
  text: string;
  /** What a person can do. */
  todo: string;
  /** What it is about, where its text holds what changes from check to check, such as a number. */
  about?: string;
}

/** A finding that is kept. */
export interface KeptFinding extends Finding {
  /** ISO 8601, UTC: the check that found it first, of those that have found it one after the other. */
  since: string;
}

export type Verdict = 'ready' | 'ready with warnings' | 'not ready';

/** What answers of a site; absent where nothing does. */
export interface ProxyAnswer {
  /** As Temporal knows it: role, host and process. */
  worker: string;
  /** Lifeboat's version. */
  version: string;
  /** Of an AWS proxy. */
  availabilityZone?: string;
}

/** One of the proxies that poll. */
export interface KnownProxy extends ProxyAnswer {
  role: 'aws-proxy' | 'backup-proxy';
  /** Whether it has answered for itself: `not asked` are those of releases that cannot be. */
  answered: 'yes' | 'no' | 'not asked';
}

/** A state that people are told of when it begins and when it is over, and not at every check. */
export interface Standing {
  state: 'rpo-missed' | 'not-ready' | 'test-overdue';
  /** Of `rpo-missed`. */
  vm?: string;
  /** ISO 8601, UTC: the check that found it first. */
  since: string;
}

/** What of the standing states is other than at the check before. */
export interface StandingChanges {
  begun: Standing[];
  over: Standing[];
}

/** The last check of a plan, as it is kept in the repository. */
export interface KeptCheck {
  /** Version of the plan that was checked. */
  digest: string;
  runId: string;
  /** ISO 8601, UTC: when it began. */
  checkedAt: string;
  verdict: Verdict;
  findings: KeptFinding[];
  /** The backups that the DR copies held, by VM; those without a DR copy are absent. */
  recoveryPoints: Record<string, string>;
  proxies: {
    /** Whichever answered first. */
    aws?: ProxyAnswer;
    backup?: ProxyAnswer;
    /** Every one that polls; absent from checks of before each was asked. */
    all?: KnownProxy[];
  };
  /** Absent where nothing is wrong, and in checks of earlier releases. */
  standing?: Standing[];
  /** Absent where nothing is other than before. */
  changes?: StandingChanges;
  /** Whether the last good test failover holds for what was checked; absent from checks of before it was asked. */
  test?: TestStanding;
}

/** What the last good test failover says of what is there now. */
export interface TestStanding {
  /** `no`: there was one, and something has changed since. `never`: there was none. */
  tested: 'yes' | 'no' | 'never';
  /** What has changed, each to follow "since"; empty unless it is `no`. */
  changed: string[];
}

/** The last test failover of a plan that came to a good end. */
export interface LastTest extends Tested {
  runId: string;
  /** ISO 8601, UTC: when it ended. */
  testedAt: string;
  /** Seconds until its last VM was ready. */
  rtoSeconds: number;
}

export function testStanding(lastTest: LastTest | undefined, now: Tested): TestStanding {
  if (lastTest === undefined) return { tested: 'never', changed: [] };
  const changed = changedSince(lastTest, now);
  return { tested: changed.length === 0 ? 'yes' : 'no', changed };
}

export function verdictOf(findings: readonly Pick<Finding, 'severity'>[]): Verdict {
  if (findings.some(({ severity }) => severity === 'impossible')) return 'not ready';
  return findings.length === 0 ? 'ready' : 'ready with warnings';
}

/** Findings with the time since when each is found, the worst first. What was found before keeps its time. */
export function sinceWhen(
  findings: readonly Finding[],
  before: readonly KeptFinding[],
  now: string,
): KeptFinding[] {
  const known = new Map(before.map((finding) => [identityOf(finding), finding.since]));
  return findings
    .map((finding) => ({ ...finding, since: known.get(identityOf(finding)) ?? now }))
    .sort((one, other) => rank(one) - rank(other));
}

const identityOf = ({ code, vm, text, about }: Finding): string =>
  JSON.stringify([code, vm ?? '', about ?? text]);

const rank = ({ severity }: Finding): number => (severity === 'impossible' ? 0 : 1);
