import { CreateVolumeCommand, DeleteVolumeCommand, type EC2Client, VolumeType } from '@aws-sdk/client-ec2';
import { ApplicationFailure } from '@temporalio/common';
import { hasCode } from '../../failures';
import { requestDetach, attachmentOf } from '../proxy-host/attachment';
import { clientToken } from '../account/client-token';
import { type AwsProxyActivities, type DrCopyDisk, type RecoveredVolume } from '../contract';
import { findVolume } from '../account/lookup';
import { diskValues, runValues, tagList } from '../account/tags';
import { volumeLooks } from '../account/volume-looks';
import { waitFor, type WaitOptions } from '../account/waiting';

type CreateVolumes = Parameters<AwsProxyActivities['createVolumes']>[0];

/**
 * CreateVolume from each snapshot of the DR copy; waits until all are available.
 * @throws ApplicationFailure VolumeFailed, non-retryable: the client token would give the same volume again
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
    const { key, sizeBytes, slot, boot } = disk;
    volumes.push({ key, sizeBytes, slot, boot, volumeId: await createVolume(ec2, input, disk) });
  }
  for (const { volumeId } of volumes) await volumeAvailable(ec2, volumeId, options);
  return volumes;
}

async function createVolume(ec2: EC2Client, input: CreateVolumes, disk: DrCopyDisk): Promise<string> {
  const { run, vm, attempt, availabilityZone, test, drCopy } = input;
  const { VolumeId } = await ec2.send(
    new CreateVolumeCommand({
      ClientToken: clientToken({ runId: run.runId, vm, disk: disk.key, attempt, call: 'CreateVolume' }),
      AvailabilityZone: availabilityZone,
      SnapshotId: disk.snapshotId,
      Size: disk.volumeGiB,
      VolumeType: VolumeType.gp3,
      TagSpecifications: [
        {
          ResourceType: 'volume',
          Tags: [
            { Key: 'Name', Value: `${vm} ${disk.key} (${run.plan})` },
            ...tagList({
              ...runValues(run),
              ...diskValues(disk),
              vm,
              attempt,
              role: test ? 'test' : 'recovery',
              recoveryPoint: drCopy.recoveryPoint,
            }),
          ],
        },
      ],
    }),
  );
  return known('CreateVolume', VolumeId);
}

/** An id that AWS always answers with. @throws Error where it did not */
export function known(call: string, id: string | undefined): string {
  if (id === undefined || id === '') throw new Error(`${call} answered without an id.`);
  return id;
}

/** Waits until the volume hangs on nothing and can be used. @throws ApplicationFailure VolumeFailed */
export async function volumeAvailable(
  ec2: EC2Client,
  volumeId: string,
  options: WaitOptions = {},
): Promise<void> {
  const look = volumeLooks(ec2, volumeId);
  await waitFor(
    `${volumeId} to be available`,
    async () => ((await look())?.State === 'available' ? true : undefined),
    options,
  );
}

/** Looks, some two minutes of them, after which a proxy that has not let go of a volume is taken for hung. */
const FORCE_AFTER_LOOKS = 30;

/**
 * Detaches a volume from whatever has it, and waits until it is available or gone.
 * @param options.force takes it also from a host that does not let go of it; what the host holds back is lost then
 */
export async function detachVolume(
  ec2: EC2Client,
  volumeId: string,
  { force = false, ...options }: WaitOptions & { force?: boolean } = {},
): Promise<void> {
  let looks = 0;
  await waitFor(
    `${volumeId} to be detached`,
    async () => {
      const volume = await findVolume(ec2, volumeId);
      if (volume === undefined || volume.State === 'deleting' || volume.State === 'deleted') return true;
      const holder = attachmentOf(volume);
      if (holder === undefined) return volume.State === 'in-use' ? undefined : true;
      looks++;
      const hung = force && looks % FORCE_AFTER_LOOKS === 0;
      if (holder.State !== 'detaching' || hung)
        await requestDetach(ec2, volumeId, holder.InstanceId ?? '', hung);
      return undefined;
    },
    options,
  );
}

/** DeleteVolume; one that is gone, or going, is no error. */
export async function requestDeletion(ec2: EC2Client, volumeId: string): Promise<void> {
  try {
    await ec2.send(new DeleteVolumeCommand({ VolumeId: volumeId }));
  } catch (error) {
    if (!hasCode(error, 'InvalidVolume.NotFound')) throw error;
  }
}
