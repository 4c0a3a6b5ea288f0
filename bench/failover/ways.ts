import { type StateTimes } from './account';
import { bucketSeconds, leastSeconds, type Way } from './bound';
import { type MeasuredFailover } from './fail-over';

/**
 * Seconds from RunInstances to an instance that runs. The endpoint makes the volumes first and then begins to start, one after the
 * other; EC2 may well do both at once.
 */
const launchSeconds = ({ volumeCreate, instanceStart }: StateTimes): number => volumeCreate + instanceStart;

/** What a VM launched by its launch copy needs of EC2 until it boots. */
export const byLaunchCopy = (times: StateTimes): Way => ({
  ahead: [[{ bucket: 'ec2:RegisterImage', seconds: 0 }]],
  inTurn: [{ bucket: 'ec2:RunInstances', seconds: launchSeconds(times) }],
});

/**
 * What a VM needs that is launched as a shell and gets its disks afterwards. Shell and volumes are made side by side; the boot
 * volume is attached to the AWS proxy meanwhile, for drivers.
 */
export const byVolumes = (times: StateTimes): Way => {
  const { instanceStart, instanceStop, volumeCreate, volumeAttach } = times;
  return {
    ahead: [
      [
        { bucket: 'ec2:RunInstances', seconds: launchSeconds(times) },
        { bucket: 'ec2:StopInstances', seconds: instanceStop },
        { bucket: 'ec2:DetachVolume', seconds: volumeAttach },
      ],
      [
        { bucket: 'ec2:CreateVolume', seconds: volumeCreate },
        { bucket: 'ec2:AttachVolume', seconds: volumeAttach },
        { bucket: 'ec2:DetachVolume', seconds: volumeAttach },
      ],
    ],
    inTurn: [
      { bucket: 'ec2:AttachVolume', seconds: volumeAttach },
      { bucket: 'ec2:StartInstances', seconds: instanceStart },
    ],
  };
};

/** Seconds that AWS's limits and its states' times alone make a failover take: the way of its tiers, and then the change of DNS. */
export function tiersSeconds(way: Way, tiers: readonly number[], times: StateTimes): number {
  return leastSeconds(way, tiers) + times.dnsPropagation;
}

/** The bucket that takes longest for the calls that were made, looks included: a run cannot be faster. */
export function slowestBucket({ calls }: Pick<MeasuredFailover, 'calls'>): { name: string; seconds: number } {
  const seconds = Object.entries(calls).map(([name, { admitted }]) => ({
    name,
    seconds: bucketSeconds(name, admitted),
  }));
  return seconds.reduce((one, other) => (other.seconds > one.seconds ? other : one), {
    name: 'none',
    seconds: 0,
  });
}

/** The calls of a way that change something, by bucket. */
export const callsOf = ({ ahead, inTurn }: Way): Set<string> =>
  new Set([...ahead.flat(), ...inTurn].map(({ bucket }) => bucket));
