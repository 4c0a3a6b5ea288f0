import { AwsError } from '../wire/errors';

/** What EC2 takes for a volume of one type ("EBS volume types", Amazon EBS User Guide; CreateVolume, EC2 API Reference). */
interface VolumeType {
  smallestGiB: number;
  largestGiB: number;
  iops?: { least: number; most: number; perGiB: number; byDefault?: number };
  /** MiB/s. */
  throughput?: { least: number; most: number; perIops: number; byDefault: number };
  boots: boolean;
}

const VOLUME_TYPES: Record<string, VolumeType> = {
  gp2: { smallestGiB: 1, largestGiB: 16_384, boots: true },
  gp3: {
    smallestGiB: 1,
    largestGiB: 65_536,
    iops: { least: 3000, most: 80_000, perGiB: 500, byDefault: 3000 },
    throughput: { least: 125, most: 2000, perIops: 0.25, byDefault: 125 },
    boots: true,
  },
  io1: { smallestGiB: 4, largestGiB: 16_384, iops: { least: 100, most: 64_000, perGiB: 50 }, boots: true },
  io2: { smallestGiB: 4, largestGiB: 65_536, iops: { least: 100, most: 256_000, perGiB: 1000 }, boots: true },
  st1: { smallestGiB: 125, largestGiB: 16_384, boots: false },
  sc1: { smallestGiB: 125, largestGiB: 16_384, boots: false },
  standard: { smallestGiB: 1, largestGiB: 1024, boots: true },
};

/** MiB/s at which a volume may be asked to load its snapshot. */
const INITIALIZATION_RATE = { least: 100, most: 300 };

interface VolumeRequest {
  volumeType?: string;
  sizeGiB?: number;
  iops?: number;
  throughput?: number;
  volumeInitializationRate?: number;
}

interface VolumeShape {
  volumeType: string;
  sizeGiB: number;
  iops?: number;
  throughput?: number;
  volumeInitializationRate?: number;
}

/**
 * What a volume is made as. Codes and messages are EC2's where people have shown them; there is no list of them.
 * @param snapshotGiB of the snapshot that it is made from; undefined without one
 * @throws AwsError InvalidParameterValue, InvalidParameterCombination, MissingParameter
 */
export function volumeShape(request: VolumeRequest, snapshotGiB: number | undefined): VolumeShape {
  const volumeType = request.volumeType ?? 'gp2';
  const type = Object.hasOwn(VOLUME_TYPES, volumeType) ? VOLUME_TYPES[volumeType] : undefined;
  if (type === undefined)
    throw new AwsError('InvalidParameterValue', `Value (${volumeType}) for parameter volumeType is invalid.`);
  const sizeGiB = checkSize(type, request.sizeGiB, snapshotGiB);
  const iops = checkIops(volumeType, type, request.iops, sizeGiB);
  const throughput = checkThroughput(type, request.throughput, iops);
  return {
    volumeType,
    sizeGiB,
    iops,
    throughput,
    volumeInitializationRate: checkRate(request.volumeInitializationRate, snapshotGiB),
  };
}

/** @throws AwsError for a type that nothing boots from; the code is a guess */
export function checkBoots(volumeType: string): void {
  if (VOLUME_TYPES[volumeType]?.boots === false)
    throw new AwsError(
      'InvalidParameterValue',
      `Volume type ${volumeType} is not supported for root volumes.`,
    );
}

function checkSize(type: VolumeType, sizeGiB: number | undefined, snapshotGiB: number | undefined): number {
  const size = sizeGiB ?? snapshotGiB;
  if (size === undefined)
    throw new AwsError('MissingParameter', 'The request must contain the parameter size/snapshot');
  if (!Number.isInteger(size) || size < type.smallestGiB || size > type.largestGiB)
    throw new AwsError(
      'InvalidParameterValue',
      `Volume of ${size}GiB is invalid; it must be ${type.smallestGiB} to ${type.largestGiB} GiB.`,
    );
  if (snapshotGiB !== undefined && size < snapshotGiB)
    throw new AwsError(
      'InvalidParameterValue',
      `Volume of size ${size}GB is smaller than snapshot of size ${snapshotGiB}GB.`,
    );
  return size;
}

function checkIops(
  volumeType: string,
  { iops: limits }: VolumeType,
  iops: number | undefined,
  sizeGiB: number,
): number | undefined {
  if (limits === undefined) {
    if (iops !== undefined)
      throw new AwsError(
        'InvalidParameterCombination',
        `The parameter iops is not supported for ${volumeType} volumes.`,
      );
    // What a gp2 volume has by its size.
    return volumeType === 'gp2' ? Math.min(Math.max(3 * sizeGiB, 100), 16_000) : undefined;
  }
  if (iops === undefined) {
    if (limits.byDefault !== undefined) return limits.byDefault;
    throw new AwsError('MissingParameter', `The parameter iops must be specified for ${volumeType} volumes.`);
  }
  if (!Number.isInteger(iops) || iops < limits.least || iops > limits.most)
    throw new AwsError(
      'InvalidParameterValue',
      `Volume iops of ${iops} is invalid; for ${volumeType} it must be ${limits.least} to ${limits.most}.`,
    );
  const ratio = iops / sizeGiB;
  if (ratio > limits.perGiB && iops !== limits.byDefault)
    throw new AwsError(
      'InvalidParameterValue',
      `Iops to volume size ratio of ${ratio.toFixed(6)} is too high; maximum is ${limits.perGiB}`,
    );
  return iops;
}

function checkThroughput(
  { throughput: limits }: VolumeType,
  throughput: number | undefined,
  iops: number | undefined,
): number | undefined {
  if (limits === undefined) {
    if (throughput === undefined) return undefined;
    throw new AwsError('InvalidParameterCombination', 'throughput can only be specified for volumeType gp3.');
  }
  if (throughput === undefined) return limits.byDefault;
  if (!Number.isInteger(throughput) || throughput < limits.least || throughput > limits.most)
    throw new AwsError(
      'InvalidParameterValue',
      `Throughput of ${throughput} MiBps is invalid; it must be ${limits.least} to ${limits.most}.`,
    );
  const ratio = throughput / (iops ?? 0);
  if (ratio > limits.perIops)
    throw new AwsError(
      'InvalidParameterValue',
      `Throughput (MiBps) to iops ratio of ${ratio.toFixed(6)} is too high; maximum is ${limits.perIops.toFixed(6)} MiBps per iops`,
    );
  return throughput;
}

function checkRate(rate: number | undefined, snapshotGiB: number | undefined): number | undefined {
  if (rate === undefined) return undefined;
  if (snapshotGiB === undefined)
    throw new AwsError(
      'InvalidParameterCombination',
      'The parameter volumeInitializationRate is supported only for volumes created from snapshots.',
    );
  const { least, most } = INITIALIZATION_RATE;
  if (!Number.isInteger(rate) || rate < least || rate > most)
    throw new AwsError(
      'InvalidParameterValue',
      `Value (${rate}) for parameter volumeInitializationRate is invalid; it must be ${least} to ${most}.`,
    );
  return rate;
}
