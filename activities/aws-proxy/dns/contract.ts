import { type PlannedDnsRecord } from '../../../plan/dns-record';
import { type RunContext } from '../../../plan/run';
import { type DrPlan } from '../../../plan/schema';
import { type StoredName } from '../../../repository/plans/record-set';

/** What a name server is asked for, and has to answer. */
export interface ExpectedAnswer {
  name: string;
  /** `A` where absent. */
  type?: 'AAAA' | 'CNAME';
  /** None where there has to be no record. */
  values: string[];
  /** Whether some of the values will do: a routing policy chooses among them. */
  any?: boolean;
}

/** A record of the plan, and where it leads now. */
export interface MovedRecord extends PlannedDnsRecord {
  /** IPv4 addresses, or the one name that a CNAME leads to. */
  values?: string[];
  /** IPv6 addresses of the same instances. */
  ipv6Values?: string[];
  /** Its one address, in runs of releases that knew no more. */
  value?: string;
}

/** What a change of DNS is to be proven by, and what a person should know of it, one sentence each. */
export interface DnsTold {
  expected: ExpectedAnswer[];
  notes: string[];
}

/** A record of the plan as the check before a failover sees it. */
export interface CheckedName {
  name: string;
  /** What leads somewhere at the name, in words; none where nothing does. */
  present: string[];
  /** Longest TTL of it in seconds: as long may resolvers go on answering with it. */
  ttl?: number;
}

export interface DnsCheck {
  names: CheckedName[];
  /** What a failover would be refused for. */
  findings: string[];
  /** What becomes of the names, where a person would not expect it, one sentence each. */
  notes: string[];
  /** What would keep clients from seeing a change in the zone, or a person from making it. */
  zoneNotes: string[];
  /** What of both somebody should mend before the day; absent from AWS proxies of before it was told apart. */
  warnings?: string[];
}

/** A record set with its TTL before and after. */
export interface ChangedTtl {
  name: string;
  type: string;
  setIdentifier?: string;
  /** Seconds. */
  from: number;
  to: number;
}

export interface ChangedTtls {
  changed: ChangedTtl[];
  notes: string[];
}

/** Activities that move DNS records, and bring them back. */
export interface DnsActivities {
  /**
   * Stores what the names have in the repository bucket, changes it, waits until INSYNC.
   * @throws ApplicationFailure UnmovableRecord, non-retryable, before anything was changed
   * @throws ApplicationFailure DnsChanged, retryable, where somebody changes a record meanwhile
   */
  moveDns(input: {
    run: RunContext;
    hostedZone: string;
    records: MovedRecord[];
  }): Promise<DnsTold & { moved: StoredName[] }>;
  /** Puts back exactly what was stored, where the present value is still ours; waits until INSYNC. */
  returnDns(input: {
    run: RunContext;
    hostedZone: string;
  }): Promise<DnsTold & { returned: StoredName[]; leftAlone: StoredName[] }>;
  /**
   * Asks each of the zone's name servers, and then the resolvers that the worker knows, which may still have what was there.
   * @returns what the resolvers answer, one sentence each
   * @throws ApplicationFailure DnsMismatch, retryable, until all of the zone's own agree
   */
  checkDns(input: { hostedZone: string; expected: ExpectedAnswer[] }): Promise<{ notes: string[] }>;
  /** Looks at the plan's records and their zone, and changes nothing. */
  inspectDns(input: { plan: DrPlan }): Promise<DnsCheck>;
  /**
   * Lowers the TTLs of what a failover would change to the plan's, storing what they were; waits until INSYNC.
   * @throws ApplicationFailure DnsChanged, retryable
   */
  lowerDnsTtls(input: {
    run: RunContext;
    hostedZone: string;
    records: PlannedDnsRecord[];
  }): Promise<ChangedTtls>;
  /** Gives the TTLs back that were lowered, where they are still what they were lowered to; waits until INSYNC. */
  restoreDnsTtls(input: { run: RunContext; hostedZone: string }): Promise<ChangedTtls>;
}
