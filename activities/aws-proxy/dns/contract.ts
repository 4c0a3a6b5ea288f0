import { type RunContext } from '../../../plan/run';
import { type PlannedDnsRecord } from '../../../plan/schema';
import { type StoredRecord } from '../../../repository/plans/stored-dns';

/** Activities that move DNS records, and bring them back. */
export interface DnsActivities {
  /** Stores the records' present values in the repository bucket, changes them, waits until INSYNC. */
  moveDns(input: {
    run: RunContext;
    hostedZone: string;
    records: (PlannedDnsRecord & { value: string })[];
  }): Promise<StoredRecord[]>;
  /** Puts the stored values back, where the present value is still ours; waits until INSYNC. */
  returnDns(input: {
    run: RunContext;
    hostedZone: string;
  }): Promise<{ returned: StoredRecord[]; leftAlone: StoredRecord[] }>;
  /** Asks each of the zone's name servers. @throws ApplicationFailure DnsMismatch, retryable, until all agree */
  checkDns(input: { hostedZone: string; expected: { name: string; values: string[] }[] }): Promise<void>;
}
