import { type BucketSize, type BudgetOptions, RequestBudget } from './request-budget';

/** Services whose requests are few a second in an account. */
export type BudgetedService = 'ec2' | 'route53' | 'ebs';

const size = (burst: number, perSecond: number): BucketSize => ({ burst, perSecond });

/**
 * Request token buckets of an account in a Region, one for each action ("Request throttling for the Amazon EC2 API", Amazon EC2
 * Developer Guide): those of which AWS lists a size of their own. Quotas that were raised are not known here, and not
 * used. Instances have buckets, too, which bind nobody who launches them one at a time.
 */
const EC2: Readonly<Record<string, BucketSize>> = {
  RunInstances: size(5, 2),
  StartInstances: size(5, 2),
  TerminateInstances: size(100, 5),
  CreateVolume: size(100, 5),
  DeleteVolume: size(100, 5),
  CreateSnapshot: size(100, 5),
  CreateSnapshots: size(100, 5),
  DeleteSnapshot: size(100, 5),
  CreateNetworkInterface: size(100, 5),
  DeleteNetworkInterface: size(100, 5),
  DeregisterImage: size(100, 5),
  CreateTags: size(100, 10),
  DeleteTags: size(100, 10),
};
const EC2_READS = size(100, 20);
const EC2_OTHERS = size(50, 5);
/** Of the reads below, those with neither a filter nor pages. Ids are neither. */
const EC2_UNFILTERED = size(50, 10);
const SMALLER_UNFILTERED: ReadonlySet<string> = new Set([
  'DescribeInstances',
  'DescribeInstanceStatus',
  'DescribeNetworkInterfaces',
  'DescribeSecurityGroups',
  'DescribeSnapshots',
  'DescribeSpotInstanceRequests',
  'DescribeVolumes',
]);
/** "Quotas", Amazon Route 53 Developer Guide: five requests a second of all kinds together, and no word of a burst. */
const ROUTE_53 = size(5, 5);
/**
 * "Amazon EBS endpoints and quotas", EBS direct APIs, all of them: requests a second an account, and no word of a burst. Copies of blocks are no
 * requests of these clients but of a transport that finds its own pace (docs/decisions/0029-…); a check asks for single ones here.
 */
const EBS_DIRECT: Readonly<Record<string, BucketSize>> = {
  StartSnapshot: size(10, 10),
  CompleteSnapshot: size(10, 10),
  ListSnapshotBlocks: size(50, 50),
  ListChangedBlocks: size(50, 50),
  PutSnapshotBlock: size(1000, 1000),
  GetSnapshotBlock: size(1000, 1000),
};
/** Of what EBS direct may have one day: its slowest. */
const EBS_DIRECT_OTHERS = size(10, 10);

/** A bucket of AWS, by a name that differs from all others'. */
function bucketOf(
  service: BudgetedService,
  action: string,
  input: object,
): { name: string; size: BucketSize } {
  if (service === 'route53') return { name: service, size: ROUTE_53 };
  if (service === 'ebs') {
    const direct = Object.hasOwn(EBS_DIRECT, action) ? EBS_DIRECT[action] : undefined;
    return { name: action, size: direct ?? EBS_DIRECT_OTHERS };
  }
  if (SMALLER_UNFILTERED.has(action) && isUnfiltered(input))
    return { name: `${action} unfiltered`, size: EC2_UNFILTERED };
  const own = Object.hasOwn(EC2, action) ? EC2[action] : undefined;
  return { name: action, size: own ?? (/^(Describe|Get|List)/.test(action) ? EC2_READS : EC2_OTHERS) };
}

function isUnfiltered(input: object): boolean {
  const { Filters, MaxResults, NextToken } = input as {
    Filters?: unknown[];
    MaxResults?: number;
    NextToken?: string;
  };
  return (Filters ?? []).length === 0 && MaxResults === undefined && NextToken === undefined;
}

export interface BudgetsOptions extends BudgetOptions {
  /** Refills so many times AWS's own: for an account of tests that has such. */
  speed?: number;
}

/** This process's budgets of an account: one for each of AWS's buckets, for all who call. */
export class RequestBudgets {
  private readonly budgets = new Map<string, RequestBudget>();

  constructor(private readonly options: BudgetsOptions = {}) {}

  /** @param action name of the API operation */
  of(service: BudgetedService, action: string, input: object): RequestBudget {
    const { name, size: full } = bucketOf(service, action, input);
    let budget = this.budgets.get(name);
    if (budget === undefined) {
      const { speed = 1 } = this.options;
      budget = new RequestBudget({ ...full, perSecond: full.perSecond * speed }, this.options);
      this.budgets.set(name, budget);
    }
    return budget;
  }
}
