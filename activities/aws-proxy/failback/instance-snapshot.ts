import { type EC2Client } from '@aws-sdk/client-ec2';
import { ApplicationFailure } from '@temporalio/common';
import { snapshotVolumesOnce } from '../account/instance-snapshots';
import { findInstance, listVolumes } from '../account/lookup';
import { readRecoveredVolume, runValues } from '../account/tags';
import { type WaitOptions } from '../account/waiting';
import { type FailbackActivities } from './contract';

type SnapshotInstance = Parameters<FailbackActivities['snapshotInstance']>[0];

/**
 * CreateSnapshots of all of an instance's volumes at one instant, once a pass.
 * @param isRetry whether an earlier try may have made snapshots that cannot be seen yet
 * @throws ApplicationFailure SnapshotFailed, retryable, where AWS has given a snapshot up
 */
export async function snapshotInstanceOnce(
  ec2: EC2Client,
  input: SnapshotInstance,
  isRetry: boolean,
  options: WaitOptions = {},
): Promise<{ diskKey: string; snapshotId: string }[]> {
  const { run, vm, instanceId, pass } = input;
  const disks = await disksByVolume(ec2, input);
  const call = {
    vm,
    instanceId,
    tags: { ...runValues(run), vm, role: 'failback', pass } as const,
    name: `${vm} on its way home (${run.plan})`,
    description: `Lifeboat: ${vm} of the plan ${run.plan}, failback pass ${pass}`,
  };
  const { snapshots } = await snapshotVolumesOnce(ec2, call, new Set(disks.keys()), isRetry, options);
  return snapshots.map(({ SnapshotId, VolumeId }) => ({
    diskKey: disks.get(VolumeId ?? '') ?? '',
    snapshotId: SnapshotId,
  }));
}

/** Keys of the VM's disks by the ids of their volumes. */
async function disksByVolume(ec2: EC2Client, input: SnapshotInstance): Promise<Map<string, string>> {
  const { vm, instanceId, pass } = input;
  const state = (await findInstance(ec2, instanceId))?.State?.Name;
  // Writes after the second snapshot would be lost without a word.
  if (pass === 2 && state !== 'stopped')
    throw ApplicationFailure.retryable(
      `The instance ${instanceId} of ${vm} is ${state ?? 'not there'}; it has to be stopped.`,
      'WrongState',
    );
  const volumes = await listVolumes(ec2, [{ Name: 'attachment.instance-id', Values: [instanceId] }]);
  const disks = new Map<string, string>();
  for (const { VolumeId, Tags } of volumes) {
    const tags = readRecoveredVolume(Tags);
    if (tags?.vm !== vm || VolumeId === undefined)
      throw ApplicationFailure.nonRetryable(
        `The volume ${VolumeId} of ${vm}'s instance ${instanceId} is none of the VM's disks. Detach it.`,
        'NotReadyForFailback',
      );
    disks.set(VolumeId, tags.disk);
  }
  if (disks.size === 0 || new Set(disks.values()).size !== disks.size)
    throw ApplicationFailure.nonRetryable(
      `The instance ${instanceId} of ${vm} has not one volume for each of the VM's disks.`,
      'NotReadyForFailback',
    );
  return disks;
}
