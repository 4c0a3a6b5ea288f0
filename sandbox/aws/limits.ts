import { setTimeout as sleep } from 'node:timers/promises';
import { TokenBucket } from './faults/throttling';
import { requestAdmission, type RequestLimits } from './request-limits';
import { AwsError } from './wire/errors';
import { type EndpointOptions } from './wire/endpoint';

/** Requests that the EBS direct APIs take in a second; those left out are not limited. */
export interface EbsDirectLimits {
  /** PutSnapshotBlock, in the whole account. AWS: 1,000. */
  putPerSecond?: number;
  /** PutSnapshotBlock, to one snapshot. AWS: 1,000, so that the account's own limit strikes first. */
  putPerSecondAndSnapshot?: number;
  /** GetSnapshotBlock, in the whole account. AWS: 1,000. */
  getPerSecond?: number;
  /** GetSnapshotBlock, from one snapshot. AWS: 1,000. */
  getPerSecondAndSnapshot?: number;
}

/** Token buckets of the account's APIs. */
export interface Limits {
  /** Amazon EBS endpoints and quotas, "EBS direct APIs". */
  ebsDirect?: EbsDirectLimits;
  /** AWS's own for EC2, Route 53, and all of EBS direct but blocks. */
  requests?: RequestLimits;
}

type Intercept = NonNullable<EndpointOptions['intercept']>;

/** Seconds of the rate that an idle bucket holds. AWS does not say how much; a client should not count on any. */
const BURST_SECONDS = 0.1;

/** At least one token fits, or slow buckets would never have one. */
const bucketOf = (perSecond: number): TokenBucket =>
  new TokenBucket(perSecond, Math.max(1, perSecond * BURST_SECONDS));

/** Buckets of one operation: one for all its requests, and one for each snapshot. */
interface OperationBuckets {
  account?: TokenBucket;
  perSnapshot?: number;
  snapshots: Map<string, TokenBucket>;
}

function operationBuckets(perSecond: number | undefined, perSnapshot: number | undefined): OperationBuckets {
  return {
    ...(perSecond === undefined ? {} : { account: bucketOf(perSecond) }),
    ...(perSnapshot === undefined ? {} : { perSnapshot }),
    snapshots: new Map(),
  };
}

/**
 * Refuses requests beyond the limits as the services do, and holds every request back for `latencyMs`, as a Region that is
 * not next door would. Undefined where neither is asked for, so that requests cost nothing more.
 */
export function limiting(limits: Limits = {}, latencyMs = 0): Intercept | undefined {
  const { ebsDirect, requests } = limits;
  if (ebsDirect === undefined && requests === undefined && latencyMs === 0) return undefined;
  const admitRequest = requests === undefined ? undefined : requestAdmission(requests);
  const operations = new Map<string, OperationBuckets>([
    ['PutSnapshotBlock', operationBuckets(ebsDirect?.putPerSecond, ebsDirect?.putPerSecondAndSnapshot)],
    ['GetSnapshotBlock', operationBuckets(ebsDirect?.getPerSecond, ebsDirect?.getPerSecondAndSnapshot)],
  ]);
  return async (call, handle) => {
    const { service, operation, input } = call;
    // A refusal takes its way, too.
    if (latencyMs > 0) await sleep(latencyMs);
    const buckets = service === 'ebs' ? operations.get(operation) : undefined;
    if (buckets !== undefined) admit(buckets, operation, String(input.SnapshotId));
    admitRequest?.(call);
    return handle();
  };
}

/** Takes a token of each bucket, or of none. @throws AwsError RequestThrottledException */
function admit(buckets: OperationBuckets, operation: string, snapshotId: string): void {
  const { account, perSnapshot, snapshots } = buckets;
  let snapshot = snapshots.get(snapshotId);
  if (snapshot === undefined && perSnapshot !== undefined) {
    snapshot = bucketOf(perSnapshot);
    snapshots.set(snapshotId, snapshot);
  }
  if (account?.has() === false) throw throttled(operation, 'ACCOUNT_THROTTLED');
  if (snapshot?.has() === false) throw throttled(operation, 'RESOURCE_LEVEL_THROTTLE');
  account?.take();
  snapshot?.take();
}

/** EBS direct API Reference, RequestThrottledException: status 400, with a reason. */
function throttled(operation: string, Reason: string): AwsError {
  return new AwsError('RequestThrottledException', `The rate of ${operation} requests is exceeded.`, 400, {
    Reason,
  });
}
