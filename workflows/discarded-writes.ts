import { ApplicationFailure } from '@temporalio/workflow';
import { type Undone } from '../plan/run';

/** What an undo gives up. */
export interface DiscardedWrites {
  plan: string;
  undone: Undone;
  /** ISO 8601, UTC: what was written since then at the site that is left. */
  since: string;
  vms: string[];
}

/**
 * Nobody undoes by mistake: the instant has to be said back.
 * @param said what the request has; anything at all
 * @throws ApplicationFailure DiscardNotSaid, non-retryable: what would be lost, and what to say
 */
export function requireSaid({ plan, undone, since, vms }: DiscardedWrites, said: unknown): void {
  if (typeof said === 'string' && Date.parse(said) === Date.parse(since)) return;
  const where = undone === 'failover' ? 'on EC2' : 'at the primary site';
  throw ApplicationFailure.nonRetryable(
    `Undoing the ${undone} of ${plan} discards for good what ${vms.join(', ')} wrote ${where} since ${since}. ` +
      (said === undefined ? '' : `That is not what was said (${String(said).slice(0, 80)}). `) +
      `If that is meant: lifeboat undo ${plan} --discard-writes-since ${since} (from the Web UI: {"plan": "${plan}", "discardWritesSince": "${since}"}).`,
    'DiscardNotSaid',
  );
}
