import { type EbsBlockDevice } from '@aws-sdk/client-ec2';
import { DEFAULT_VOLUME_TYPE, type VolumeSettings } from '../../../plan/recovery-site/volume-types';

/** How a volume is to perform: parameters of CreateVolume, and of the devices of an image. */
export function performance(
  settings: VolumeSettings = {},
): Pick<EbsBlockDevice, 'VolumeType' | 'Iops' | 'Throughput'> {
  const { volumeType = DEFAULT_VOLUME_TYPE, iops, throughput } = settings;
  return {
    VolumeType: volumeType,
    ...(iops === undefined ? {} : { Iops: iops }),
    ...(throughput === undefined ? {} : { Throughput: throughput }),
  };
}

/**
 * How fast EC2 is to load the snapshot: of CreateVolume and of a launch, but of no image ("Initialize Amazon EBS volumes",
 * Amazon EBS User Guide).
 */
export function initializationRate({ volumeInitializationRate: rate }: VolumeSettings = {}): Pick<
  EbsBlockDevice,
  'VolumeInitializationRate'
> {
  return rate === undefined ? {} : { VolumeInitializationRate: rate };
}
