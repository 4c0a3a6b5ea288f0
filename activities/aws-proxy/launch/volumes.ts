import { CreateVolumeCommand, type EC2Client } from '@aws-sdk/client-ec2';
import { ApplicationFailure } from '@temporalio/common';
import { launchOnce } from '../../heartbeat';
import { isSnapshotGone, launchCopyGone } from './launch-image';
import { clientToken } from '../account/client-token';
import { type DrCopyDisk } from '../account/contract';
import { type LaunchActivities, type RecoveredVolume } from './contract';
import { initializationRate, performance } from './volume-parameters';
import { diskValues, runValues, tagsOf } from '../account/tags';
import { known, volumeAvailable } from '../account/volumes';
import { type WaitOptions } from '../account/waiting';

type CreateVolumes = Parameters<LaunchActivities['createVolumes']>[0];

/**
 * CreateVolume from each snapshot of the DR copy, or the launch copy's in its place; waits until all are available.
 * @throws ApplicationFailure VolumeFailed, non-retryable: the client token would give the same volume again
 * @throws ApplicationFailure LaunchCopyGone, non-retryable
 */
export async function createVolumes(
  ec2: EC2Client,
  input: CreateVolumes,
  options: WaitOptions = {},
): Promise<RecoveredVolume[]> {
  const { drCopy } = input;
  if (drCopy.vm !== input.vm)
    throw ApplicationFailure.nonRetryable(
      `The DR copy of ${drCopy.vm} was given for ${input.vm}.`,
      'InvalidRequest',
    );
  // One after the other: the API's bucket refills five a second, and VMs of one run share it.
  const volumes: RecoveredVolume[] = [];
  for (const disk of drCopy.disks) {
    const { snapshotId: _, volumeGiB: __, ...configuration } = disk;
    const volumeId = await launchOnce(`CreateVolume ${disk.key}`, () => createVolume(ec2, input, disk));
    volumes.push({ ...configuration, volumeId });
  }
  for (const { volumeId } of volumes) await volumeAvailable(ec2, volumeId, options);
  return volumes;
}

async function createVolume(ec2: EC2Client, input: CreateVolumes, disk: DrCopyDisk): Promise<string> {
  const { run, vm, attempt, availabilityZone, test, drCopy, tags, byLaunchCopy = false } = input;
  const settings = input.volumes?.[disk.key];
  const child = byLaunchCopy
    ? drCopy.launchCopy?.snapshots.find(({ diskKey }) => diskKey === disk.key)
    : undefined;
  // Attempts are counted for each of the two by itself.
  const call = byLaunchCopy ? 'CreateVolume by launch copy' : 'CreateVolume';
  const command = new CreateVolumeCommand({
    ClientToken: clientToken({ runId: run.runId, vm, disk: disk.key, attempt, call }),
    AvailabilityZone: availabilityZone,
    SnapshotId: child?.snapshotId ?? disk.snapshotId,
    Size: disk.volumeGiB,
    ...performance(settings),
    ...initializationRate(settings),
    TagSpecifications: [
      {
        ResourceType: 'volume',
        Tags: tagsOf(`${vm} ${disk.key} (${run.plan})`, tags, {
          ...runValues(run),
          ...diskValues(disk),
          vm,
          attempt,
          role: test ? 'test' : 'recovery',
          recoveryPoint: drCopy.recoveryPoint,
        }),
      },
    ],
  });
  try {
    return known('CreateVolume', (await ec2.send(command)).VolumeId);
  } catch (error) {
    if (byLaunchCopy && isSnapshotGone(error)) throw launchCopyGone(vm, (error as Error).message);
    throw error;
  }
}
