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
  // What only a check asks.
  | 'dr-copy-age'
  | 'dr-copy-archived'
  | 'kms-key'
  | 'encryption-by-default'
  | 'launch-copy'
  | 'guest'
  | 'guest-not-tried'
  | 'vcpu-quota'
  | 'aws-proxy'
  | 'aws-proxy-zone'
  | 'backup-proxy'
  | 'backup-proxy-repository'
  | 'version'
  | 'plan-phase'
  | 'rto'
  | 'kept-test'
  /** Something could not be asked, or there is more than is told. */
  | 'not-checked';

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
  proxies: { aws?: ProxyAnswer; backup?: ProxyAnswer };
}

/** The last test failover of a plan that came to a good end. */
export interface LastTest {
  digest: string;
  runId: string;
  /** ISO 8601, UTC: when it ended. */
  testedAt: string;
  /** Seconds until its last VM was ready. */
  rtoSeconds: number;
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
