import { type FaultRule } from '../../sandbox/aws/faults/rule';
import { drawn, type Draw } from './faults';
import { type Journey } from './journeys';
import { type SeededRandom } from './random';

/** Share of the plans whose VMs are launched from a licensed image, unless somebody says another. */
export const LICENSED_SHARE = 0.25;
/** Share of their VMs that have a boot disk alone: the roots of others are not exchanged while they run. */
const ONE_DISK_SHARE = 0.6;

/**
 * Decides whether a plan's VMs are launched from a licensed image. What is drawn here comes from a generator of its own, so that a
 * seed's journeys are otherwise what they were before there were such images.
 */
export function drawLicensedImages(journey: Journey, random: SeededRandom, share: number): Journey {
  if (!random.chance(share)) return journey;
  // What is damaged is what a backup alone needs, which is of a data disk.
  const damages = journey.steps.some(({ step }) => step === 'damage the backup');
  return {
    ...journey,
    licensed: true,
    vms: journey.vms.map((vm) =>
      !damages && random.chance(ONE_DISK_SHARE) ? { ...vm, dataSectors: 0 } : vm,
    ),
  };
}

const CALLS = [
  'CreateReplaceRootVolumeTask',
  'DescribeReplaceRootVolumeTasks',
  'CreateVolume',
  'ModifyInstanceAttribute',
  'RunInstances',
];

/** What goes wrong where plans have licensed images, besides the rest. */
const FAULTS: readonly Draw[] = [
  (random) => ({
    operations: [random.pick(CALLS)],
    skip: random.whole(0, 2),
    times: random.whole(1, 3),
    fault: { kind: 'reset', carriedOut: random.chance(0.5) },
  }),
  (random) => ({
    operations: [random.pick(CALLS)],
    skip: random.whole(0, 2),
    times: random.whole(1, 3),
    fault: { kind: 'error', code: 'InternalError', status: 500, carriedOut: random.chance(0.5) },
  }),
  (random) => ({
    operations: ['CreateReplaceRootVolumeTask'],
    times: random.whole(1, 3),
    fault: { kind: 'resource-error' },
  }),
  (random) => ({
    operations: ['CreateReplaceRootVolumeTask'],
    times: random.whole(1, 2),
    fault: { kind: 'stuck', seconds: random.whole(1, 4) },
  }),
];

/** Faults of one batch for licensed images, one or two of them. */
export function drawLicensedFaults(random: SeededRandom, batch: string): FaultRule[] {
  return drawn(FAULTS, random.whole(1, 2), random, `${batch}-licensed`);
}
