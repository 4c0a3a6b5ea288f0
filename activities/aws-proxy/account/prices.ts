/**
 * What leftovers cost, for people to see: list prices in us-east-1, on demand, Linux, in US dollars, of the pages "Amazon
 * EBS pricing" and "Amazon EC2 On-Demand Pricing" (2025). Other Regions are 0 to 50 % dearer, and contracts cheaper.
 */

/** A GiB of a volume for a month, without IOPS and throughput beyond what is included. */
const VOLUME_GIB_MONTH: Record<string, number> = {
  gp3: 0.08,
  gp2: 0.1,
  io1: 0.125,
  io2: 0.125,
  st1: 0.045,
  sc1: 0.015,
};
/** A GiB of a snapshot's stored blocks for a month, standard tier. */
const SNAPSHOT_GIB_MONTH = 0.05;
/** An hour of the size `large` of an instance family; other sizes cost their multiple of it. */
const LARGE_HOUR: Record<string, number> = {
  t3: 0.0832,
  t3a: 0.0752,
  m5: 0.096,
  m6i: 0.096,
  m7i: 0.1008,
  c5: 0.085,
  c6i: 0.085,
  r5: 0.126,
  r6i: 0.126,
};
const SIZES: Record<string, number> = { micro: 1 / 8, small: 1 / 4, medium: 1 / 2, large: 1, xlarge: 2 };
/** A thousand requests: EBS direct of "Amazon EBS pricing" (one of a block is one unit), and "Amazon S3 pricing". Others cost nothing. */
const THOUSAND_REQUESTS: Record<string, number> = {
  'ebs:ListSnapshotBlocks': 0.0006,
  'ebs:ListChangedBlocks': 0.0006,
  'ebs:GetSnapshotBlock': 0.003,
  'ebs:PutSnapshotBlock': 0.006,
  's3:PutObject': 0.005,
  's3:ListObjectsV2': 0.005,
  's3:GetObject': 0.0004,
};
/** AWS's own month: 365 days of 24 hours, by twelve. */
export const HOURS_A_MONTH = 730;

/** @returns dollars; undefined where the type is not in the table */
export function volumeMonth(volumeType: string | undefined, gib: number | undefined): number | undefined {
  const price = VOLUME_GIB_MONTH[volumeType ?? ''];
  return price === undefined || gib === undefined ? undefined : price * gib;
}

/** At most so many dollars: a snapshot costs what it stores, of which AWS tells only the size of the volume. */
export function snapshotMonthAtMost(gib: number | undefined): number | undefined {
  return gib === undefined ? undefined : SNAPSHOT_GIB_MONTH * gib;
}

/** @returns dollars of an instance that runs, without its volumes; undefined where the type is not in the table */
export function instanceMonth(instanceType: string | undefined): number | undefined {
  const [family = '', size = ''] = (instanceType ?? '').split('.');
  const multiple = /^(\d+)xlarge$/.exec(size);
  const factor = multiple === null ? SIZES[size] : 2 * Number(multiple[1]);
  const large = LARGE_HOUR[family];
  return factor === undefined || large === undefined ? undefined : large * factor * HOURS_A_MONTH;
}

/** @param action such as `ebs:PutSnapshotBlock` @returns dollars of so many requests; 0 of those that are free */
export const requestsCost = (action: string, requests: number): number =>
  ((THOUSAND_REQUESTS[action] ?? 0) * requests) / 1000;
