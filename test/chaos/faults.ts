import { type FaultRule } from '../../sandbox/aws/faults/rule';
import { PRODUCTION_SUBNET_ID, SECOND_ZONE_SUBNET_ID } from '../../sandbox/aws/fixtures';
import { type SeededRandom } from './random';

export type Draw = (random: SeededRandom) => Omit<FaultRule, 'name'>;

const MUTATING = [
  'CreateVolume',
  'AttachVolume',
  'DetachVolume',
  'DeleteVolume',
  'DeleteSnapshot',
  'CreateSnapshots',
  'StartSnapshot',
  'CompleteSnapshot',
  'PutSnapshotBlock',
  'CreateTags',
  'RunInstances',
  'StartInstances',
  'StopInstances',
  'TerminateInstances',
  'RegisterImage',
  'ChangeResourceRecordSets',
  'PutObject',
  'DeleteObject',
];

/** Whatever may go wrong at AWS. All of it ends: by `times`, or because it makes nothing impossible. */
const FAULTS: readonly Draw[] = [
  (random) => ({
    services: ['ec2'],
    fault: { kind: 'throttle', perSecond: random.whole(20, 60), burst: random.whole(10, 50) },
  }),
  (random) => ({
    operations: ['PutSnapshotBlock', 'GetSnapshotBlock'],
    fault: { kind: 'throttle', perSecond: random.whole(50, 200), burst: 10 },
  }),
  (random) => ({
    services: ['s3', 'route53'],
    fault: { kind: 'throttle', perSecond: random.whole(30, 100), burst: 20 },
  }),
  (random) => ({
    operations: [random.pick(MUTATING)],
    times: random.whole(1, 4),
    fault: { kind: 'error', code: 'InternalError', status: 500 },
  }),
  (random) => ({
    probability: 0.02,
    seed: random.whole(1, 1e6),
    times: 20,
    fault: { kind: 'error', code: 'InternalFailure', status: 500, carriedOut: random.chance(0.5) },
  }),
  (random) => ({
    probability: 0.02,
    seed: random.whole(1, 1e6),
    times: 20,
    fault: { kind: 'reset', carriedOut: random.chance(0.5) },
  }),
  (random) => ({
    operations: [random.pick(MUTATING)],
    skip: random.whole(0, 4),
    times: random.whole(1, 3),
    fault: { kind: 'reset', carriedOut: true },
  }),
  (random) => ({
    probability: 0.05,
    seed: random.whole(1, 1e6),
    times: 30,
    fault: { kind: 'slow', milliseconds: random.whole(100, 3000) },
  }),
  (random) => ({
    services: ['ec2', 'ebs'],
    times: 60,
    fault: { kind: 'eventual-consistency', seconds: random.between(0.3, 2) },
  }),
  (random) => ({
    operations: ['RunInstances', 'StartInstances'],
    times: random.whole(1, 2),
    fault: { kind: 'error', code: 'InsufficientInstanceCapacity', status: 500 },
  }),
  () => ({
    operations: ['StartSnapshot', 'CompleteSnapshot', 'CreateSnapshots'],
    times: 1,
    fault: { kind: 'resource-error' },
  }),
  () => ({ operations: ['CreateVolume'], times: 1, fault: { kind: 'resource-error' } }),
  (random) => ({
    operations: [random.pick(['StartInstances', 'RunInstances'] as const)],
    skip: random.whole(0, 2),
    times: 1,
    fault: { kind: 'resource-error' },
  }),
  (random) => ({
    operations: ['CreateVolume'],
    times: 1,
    fault: { kind: 'stuck', seconds: random.whole(3, 10) },
  }),
  (random) => ({
    operations: ['AttachVolume', 'DetachVolume'],
    times: 2,
    fault: { kind: 'stuck', seconds: random.whole(2, 6) },
  }),
  (random) => ({
    operations: ['AttachVolume'],
    times: random.whole(1, 3),
    fault: { kind: 'error', code: 'VolumeInUse', message: 'vol is already attached to an instance' },
  }),
  (random) => ({
    operations: ['ChangeResourceRecordSets'],
    times: 1,
    fault: { kind: 'stuck', seconds: random.whole(2, 8) },
  }),
  (random) => ({
    operations: ['ChangeResourceRecordSets'],
    times: random.whole(1, 2),
    fault: {
      kind: 'error',
      code: 'PriorRequestNotComplete',
      message: 'The request was rejected.',
      status: 400,
    },
  }),
  (random) => ({
    operations: ['GetObject'],
    times: random.whole(1, 3),
    fault: { kind: 'damaged-answer', how: random.pick(['altered', 'short'] as const) },
  }),
  (random) => ({
    operations: ['PutObject', 'GetSnapshotBlock', 'PutSnapshotBlock'],
    times: random.whole(1, 3),
    fault: {
      kind: 'error',
      code: 'RequestTimeTooSkewed',
      message: 'The clocks differ too much.',
      status: 403,
    },
  }),
];

/** Calls that make a launch copy, or launch by one. */
const LAUNCHING = [
  'StartSnapshot',
  'CompleteSnapshot',
  'CreateTags',
  'RegisterImage',
  'DeregisterImage',
  'RunInstances',
];
const LAUNCH_TYPES = ['m6i.large', 'm5.large'];

/** What goes wrong where plans want launch copies, besides the rest. */
const LAUNCH_FAULTS: readonly Draw[] = [
  (random) => ({
    operations: [random.pick(LAUNCHING)],
    skip: random.whole(0, 3),
    times: random.whole(1, 3),
    fault: { kind: 'reset', carriedOut: true },
  }),
  (random) => ({
    operations: [random.pick(LAUNCHING)],
    skip: random.whole(0, 3),
    times: random.whole(1, 3),
    fault: { kind: 'error', code: 'InternalError', status: 500, carriedOut: random.chance(0.5) },
  }),
  (random) => ({
    operations: ['RegisterImage', 'RunInstances', 'CreateTags'],
    fault: { kind: 'throttle', perSecond: random.whole(2, 5), burst: random.whole(1, 5) },
  }),
  (random) => ({
    operations: ['RunInstances'],
    matches: random.pick(LAUNCH_TYPES),
    times: random.whole(2, 8),
    fault: {
      kind: 'error',
      code: random.pick(['InsufficientInstanceCapacity', 'Unsupported'] as const),
      status: 500,
    },
  }),
  // A zone that has no capacity, whatever the type; the other one's is there.
  (random) => ({
    operations: ['RunInstances'],
    matches: random.pick([PRODUCTION_SUBNET_ID, SECOND_ZONE_SUBNET_ID]),
    times: random.whole(3, 12),
    fault: { kind: 'error', code: 'InsufficientInstanceCapacity', status: 500 },
  }),
  // Of a launch copy, as often as not.
  (random) => ({
    operations: ['CompleteSnapshot'],
    skip: random.whole(0, 6),
    times: random.whole(1, 3),
    fault: { kind: 'resource-error' },
  }),
];

/** Faults of one batch for launch copies, one to three of them. */
export function drawLaunchFaults(random: SeededRandom, batch: string): FaultRule[] {
  return drawn(LAUNCH_FAULTS, random.whole(1, 3), random, `${batch}-launch`);
}

/** Faults of one batch, four to ten of them. */
export function drawFaults(random: SeededRandom, batch: string): FaultRule[] {
  return drawn(FAULTS, random.whole(4, 10), random, batch);
}

export function drawn(
  from: readonly Draw[],
  count: number,
  random: SeededRandom,
  batch: string,
): FaultRule[] {
  return Array.from({ length: count }, (_, n) => ({ name: `${batch}-${n}`, ...random.pick(from)(random) }));
}
