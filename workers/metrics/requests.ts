import { requestTally, type RequestTally } from '../../blocks/limits/request-tally';
import { every } from './every';
import { type Exporter } from './exporter';

/** Seconds between two times that what was counted is handed on: a metric takes longer than a count, and blocks are a thousand a second. */
const HANDED_ON_SECONDS = 5;

/** Hands on what this process has asked of AWS since the last time. */
export function tellRequests(exporter: Pick<Exporter, 'count'>, tally: RequestTally = requestTally): void {
  for (const { service, action, made, throttled } of tally.take()) {
    exporter.count('lifeboat_aws_requests_total', { service, action }, made);
    // Also where there were none: a rate needs a beginning.
    exporter.count('lifeboat_aws_requests_throttled_total', { service, action }, throttled);
  }
}

/** Does so until the signal comes. */
export function reportRequests(exporter: Exporter, signal: AbortSignal): Promise<void> {
  return every(HANDED_ON_SECONDS, signal, () => tellRequests(exporter));
}
