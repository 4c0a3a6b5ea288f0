import { TokenBucket, tooFast } from './faults/throttling';
import { type Call } from './wire/endpoint';

/** EC2's token buckets, and the request rates of Route 53 and EBS direct, as AWS has them for a Region of an account. */
export interface RequestLimits {
  /** Buckets refill so many times as fast as AWS's: for tests that have no time. */
  speed?: number;
}

/** What a bucket holds, and what it gets back a second. */
type Size = readonly [burst: number, perSecond: number];

/**
 * "Request throttling for the Amazon EC2 API" (Amazon EC2 Developer Guide), request token buckets: actions with one of
 * their own. All others share no bucket either, but have the size that is usual for their kind.
 * Written down here and in the product, so that a mistake in one of the two shows.
 */
const EC2_SIZES: Readonly<Record<string, Size>> = {
  RunInstances: [5, 2],
  StartInstances: [5, 2],
  TerminateInstances: [100, 5],
  CreateVolume: [100, 5],
  DeleteVolume: [100, 5],
  CreateSnapshot: [100, 5],
  CreateSnapshots: [100, 5],
  DeleteSnapshot: [100, 5],
  CreateNetworkInterface: [100, 5],
  DeleteNetworkInterface: [100, 5],
  DeregisterImage: [100, 5],
  CreateTags: [100, 10],
  DeleteTags: [100, 10],
};
const READING: Size = [100, 20];
const CHANGING: Size = [50, 5];
/** Lists that can grow long, asked for without a filter and without pages. Ids alone are neither. */
const UNFILTERED: Size = [50, 10];
const LONG_LISTS: ReadonlySet<string> = new Set([
  'DescribeInstances',
  'DescribeInstanceStatus',
  'DescribeNetworkInterfaces',
  'DescribeSecurityGroups',
  'DescribeSnapshots',
  'DescribeSpotInstanceRequests',
  'DescribeVolumes',
]);

/** The same page, resource token buckets: a token for each instance that a request is about. */
const EC2_INSTANCES: Readonly<Record<string, Size>> = {
  RunInstances: [1000, 2],
  StartInstances: [1000, 2],
  StopInstances: [1000, 20],
  TerminateInstances: [1000, 20],
};

/**
 * "Quotas" (Route 53 Developer Guide): five requests a second an account, all actions together. How many may come at once
 * AWS does not say.
 */
const ROUTE_53: Size = [5, 5];

/** "Amazon EBS endpoints and quotas", EBS direct APIs, of all that is not about one block: those have limits of their own (limits.ts). */
const EBS_DIRECT: Readonly<Record<string, Size>> = {
  StartSnapshot: [10, 10],
  CompleteSnapshot: [10, 10],
  ListSnapshotBlocks: [50, 50],
  ListChangedBlocks: [50, 50],
};

/** The bucket that a call takes from, as benchmarks and the counts name it. */
export function bucketName({ service, operation, input }: Call): string {
  return `${service}:${operation}${service === 'ec2' && isUnfiltered(operation, input) ? ' (unfiltered)' : ''}`;
}

function isUnfiltered(operation: string, input: Record<string, unknown>): boolean {
  const { Filters, MaxResults, NextToken } = input as Record<string, { length?: number } | undefined>;
  return (
    LONG_LISTS.has(operation) &&
    (Filters?.length ?? 0) === 0 &&
    MaxResults === undefined &&
    NextToken === undefined
  );
}

function ec2Size(operation: string, input: Record<string, unknown>): Size {
  if (isUnfiltered(operation, input)) return UNFILTERED;
  const own = Object.hasOwn(EC2_SIZES, operation) ? EC2_SIZES[operation] : undefined;
  return own ?? (/^(Describe|Get|List|Search)/.test(operation) ? READING : CHANGING);
}

/**
 * The size of a bucket of {@link bucketName}'s. Undefined for those of services whose requests are not limited here.
 */
export function bucketSize(name: string): { burst: number; perSecond: number } | undefined {
  const [, service, operation = '', unfiltered] = /^([a-z0-9]+):(\w+)( \(unfiltered\))?$/.exec(name) ?? [];
  const filtered = unfiltered === undefined ? { MaxResults: 1 } : {};
  const size = sizeOf(service, operation, filtered);
  return size && { burst: size[0], perSecond: size[1] };
}

function sizeOf(
  service: string | undefined,
  operation: string,
  input: Record<string, unknown>,
): Size | undefined {
  if (service === 'route53') return ROUTE_53;
  if (service === 'ebs') return Object.hasOwn(EBS_DIRECT, operation) ? EBS_DIRECT[operation] : undefined;
  return service === 'ec2' ? ec2Size(operation, input) : undefined;
}

/** Instances that a request is about, of those that have a bucket for it. */
function instancesIn(input: Record<string, unknown>): number {
  const { InstanceIds, MaxCount } = input as { InstanceIds?: unknown[]; MaxCount?: number };
  return InstanceIds?.length ?? MaxCount ?? 1;
}

/** Takes a call's tokens, all or none. @throws AwsError RequestLimitExceeded; Throttling from Route 53, RequestThrottledException from EBS direct */
export function requestAdmission({ speed = 1 }: RequestLimits): (call: Call) => void {
  const buckets = new Map<string, TokenBucket>();
  const bucketOf = (name: string, [burst, perSecond]: Size): TokenBucket => {
    const bucket = buckets.get(name) ?? new TokenBucket(perSecond * speed, burst);
    buckets.set(name, bucket);
    return bucket;
  };
  return (call) => {
    const { service, operation, input } = call;
    const needed: [bucket: TokenBucket, tokens: number][] = [];
    const size = sizeOf(service, operation, input);
    if (size !== undefined)
      needed.push([bucketOf(service === 'route53' ? service : bucketName(call), size), 1]);
    if (service === 'ec2') {
      const instances = Object.hasOwn(EC2_INSTANCES, operation) ? EC2_INSTANCES[operation] : undefined;
      if (instances !== undefined)
        needed.push([bucketOf(`${operation} instances`, instances), instancesIn(input)]);
    }
    if (needed.some(([bucket, tokens]) => !bucket.has(tokens))) throw tooFast(service, operation);
    for (const [bucket, tokens] of needed) bucket.take(tokens);
  };
}
