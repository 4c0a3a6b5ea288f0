import {
  HOURS_A_MONTH,
  requestsCost,
  snapshotMonthAtMost,
  volumeMonth,
} from '../../activities/aws-proxy/account/prices';
import { type RequestCount } from '../../blocks/limits/request-tally';
import { type Made } from './test-resources/trial';

/** EBS bills a volume for a minute at least ("Amazon EBS pricing"). */
const SHORTEST_SECONDS = 60;
const MONTH_SECONDS = HOURS_A_MONTH * 3600;

/**
 * At most so many US dollars, by list prices: what was made, for as long as it was there, each snapshot as if it were full; and the
 * requests.
 */
export function costAtMost(made: Iterable<Made>, until: number, requests: readonly RequestCount[]): number {
  let dollars = 0;
  for (const { kind, gib, at } of made) {
    const month =
      kind === 'volume' ? volumeMonth('gp3', gib) : kind === 'snapshot' ? snapshotMonthAtMost(gib) : 0;
    dollars += ((month ?? 0) * Math.max(SHORTEST_SECONDS, (until - at) / 1000)) / MONTH_SECONDS;
  }
  for (const { service, action, made: count } of requests)
    dollars += requestsCost(`${service}:${action}`, count);
  return dollars;
}
