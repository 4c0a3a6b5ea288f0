import {
  AttachVolumeCommand,
  type EC2Client,
  type Instance,
  ModifyInstanceAttributeCommand,
} from '@aws-sdk/client-ec2';
import { ApplicationFailure } from '@temporalio/common';
import { type DiskConfiguration } from '../../../hypervisor/port';
import { byPlace } from '../../../machines/disk-place';
import { hasCode } from '../../failures';
import { DATA_DEVICE_NAMES } from '../proxy-host/device-names';
import { type LaunchActivities } from './contract';
import { instanceGone } from './run-instance';
import { findInstance, findVolume, listVolumes } from '../account/lookup';
import { readInstance, readRecoveredVolume, readTags, runValues, tagFilters } from '../account/tags';
import { volumeLooks } from '../account/volume-looks';
import { attachmentOf, detachVolume, requestDeletion } from '../account/volumes';
import { waitFor, type WaitOptions } from '../account/waiting';

type AttachVolumes = Parameters<LaunchActivities['attachVolumes']>[0];

/** Disks of one VM: all are attached to an AWS proxy at once, by a name each. Its instance would take one more, its root. */
export const MAXIMUM_DISKS = DATA_DEVICE_NAMES.length;

/**
 * Makes the recovered volumes the stopped shell's disks: the boot volume its root, the others in their order. The shell's own
 * root is deleted. Terminating the instance deletes the volumes, on purpose, so that it leaves no orphans.
 * @throws ApplicationFailure WrongInstance or WrongVolume, non-retryable: not this VM's, or not of this run
 * @throws ApplicationFailure InstanceGone, or VolumeFailed for a volume that failed or is gone, non-retryable
 */
export async function attachVolumes(
  ec2: EC2Client,
  input: AttachVolumes,
  options: WaitOptions = {},
): Promise<void> {
  const { instanceId, volumes } = input;
  const instance = await ownInstance(ec2, input);
  const devices = deviceNames(input.vm, volumes, instance.RootDeviceName);
  for (const { volumeId } of volumes) await requireOwnVolume(ec2, input, volumeId, options);

  await removeShellRoot(ec2, input, instance, options);
  for (const [{ volumeId }, device] of devices) await attachAt(ec2, instanceId, volumeId, device, options);
  await removeSuperseded(ec2, input, options);
  // The last step: a try after one that failed does not ask for it a second time.
  await ec2.send(
    new ModifyInstanceAttributeCommand({
      InstanceId: instanceId,
      BlockDeviceMappings: [...devices].map(([{ volumeId: VolumeId }, DeviceName]) => ({
        DeviceName,
        Ebs: { VolumeId, DeleteOnTermination: true },
      })),
    }),
  );
}

export async function ownInstance(ec2: EC2Client, { run, vm, instanceId }: AttachVolumes): Promise<Instance> {
  const instance = await findInstance(ec2, instanceId);
  const tags = readInstance(instance?.Tags);
  if (instance === undefined || tags?.plan !== run.plan || tags.run !== run.runId || tags.vm !== vm)
    throw ApplicationFailure.nonRetryable(
      `The instance ${instanceId} is not one that this run launched for ${vm}.`,
      'WrongInstance',
    );
  if (instance.State?.Name === 'shutting-down' || instance.State?.Name === 'terminated')
    throw instanceGone(instance, vm);
  return instance;
}

/** Device name of each disk: EC2 boots from the root device's name, guests count the rest in this order. */
export function deviceNames<Disk extends DiskConfiguration>(
  vm: string,
  disks: readonly Disk[],
  rootDevice: string | undefined,
): Map<Disk, string> {
  const [boot, ...more] = disks.filter((disk) => disk.boot);
  if (boot === undefined || more.length > 0 || rootDevice === undefined || disks.length > MAXIMUM_DISKS)
    throw ApplicationFailure.nonRetryable(
      `${vm} needs one boot volume and at most ${MAXIMUM_DISKS - 1} others; it has ${1 + more.length} of ${disks.length}.`,
      'WrongVolume',
    );
  const others = disks.filter((disk) => !disk.boot).sort(byPlace);
  return new Map([
    [boot, rootDevice],
    ...others.map((disk, index) => [disk, DATA_DEVICE_NAMES[index] ?? ''] as const),
  ]);
}

export async function requireOwnVolume(
  ec2: EC2Client,
  { run, vm }: AttachVolumes,
  volumeId: string,
  options: WaitOptions,
): Promise<void> {
  const volume = await waitFor(`${volumeId} to be seen`, volumeLooks(ec2, volumeId), options);
  const tags = readRecoveredVolume(volume.Tags);
  if (tags?.plan !== run.plan || tags.run !== run.runId || tags.vm !== vm)
    throw ApplicationFailure.nonRetryable(
      `The volume ${volumeId} is not one that this run made for ${vm}.`,
      'WrongVolume',
    );
}

/** Takes off and deletes what the shell was launched with. Only what carries the shell's tags of this VM and run. */
async function removeShellRoot(
  ec2: EC2Client,
  { run, vm, instanceId, volumes }: AttachVolumes,
  instance: Instance,
  options: WaitOptions,
): Promise<void> {
  const ours = new Set(volumes.map(({ volumeId }) => volumeId));
  for (const { Ebs } of instance.BlockDeviceMappings ?? []) {
    const volumeId = Ebs?.VolumeId ?? '';
    if (ours.has(volumeId)) continue;
    const volume = await findVolume(ec2, volumeId);
    if (volume === undefined) continue;
    const tags = readTags(volume.Tags, ['plan', 'run', 'vm', 'role']);
    if (tags?.role !== 'shell' || tags.plan !== run.plan || tags.run !== run.runId || tags.vm !== vm)
      throw ApplicationFailure.nonRetryable(
        `The volume ${volumeId} at ${instanceId} is neither the shell's own nor one of ${vm}'s.`,
        'WrongVolume',
      );
    await detachVolume(ec2, volumeId, options);
  }
  // By tag, too: an earlier try may have taken it off and not deleted it.
  const roots = await listVolumes(ec2, tagFilters({ ...runValues(run), vm, role: 'shell' }));
  for (const { VolumeId: volumeId = '', State } of roots)
    if (State === 'available') await requestDeletion(ec2, volumeId);
}

async function attachAt(
  ec2: EC2Client,
  instanceId: string,
  volumeId: string,
  device: string,
  options: WaitOptions,
): Promise<void> {
  const look = volumeLooks(ec2, volumeId);
  await waitFor(
    `${volumeId} to be attached to ${instanceId} at ${device}`,
    async () => {
      const volume = await look();
      if (volume === undefined) return undefined;
      const holder = attachmentOf(volume);
      if (holder === undefined) {
        if (volume.State === 'available') await requestAttach(ec2, instanceId, volumeId, device);
        return undefined;
      }
      if (holder.InstanceId !== instanceId || holder.Device !== device) {
        // A proxy that injected drivers lets go of it by itself; anything else is nothing that we made.
        if (holder.State === 'detaching') return undefined;
        throw ApplicationFailure.create({
          message: `The volume ${volumeId} is attached to ${holder.InstanceId} at ${holder.Device}, not to ${instanceId} at ${device}.`,
          type: 'WrongState',
          nextRetryDelay: '5 seconds',
        });
      }
      return holder.State === 'attached' ? true : undefined;
    },
    options,
  );
}

async function requestAttach(
  ec2: EC2Client,
  instanceId: string,
  volumeId: string,
  device: string,
): Promise<void> {
  try {
    await ec2.send(new AttachVolumeCommand({ VolumeId: volumeId, InstanceId: instanceId, Device: device }));
  } catch (error) {
    // Ours of a moment ago, which the last look did not show yet.
    if (!hasCode(error, 'VolumeInUse', 'IncorrectState')) throw error;
  }
}

/** Deletes volumes that this run made for the VM on a proxy host that died: they were begun again elsewhere. */
export async function removeSuperseded(
  ec2: EC2Client,
  { run, vm, volumes }: AttachVolumes,
  options: WaitOptions,
): Promise<void> {
  const ours = new Set(volumes.map(({ volumeId }) => volumeId));
  for (const { VolumeId: volumeId = '', State, Tags } of await listVolumes(
    ec2,
    tagFilters({ ...runValues(run), vm }),
  )) {
    if (ours.has(volumeId) || State === 'deleting' || readRecoveredVolume(Tags) === undefined) continue;
    await detachVolume(ec2, volumeId, options);
    await requestDeletion(ec2, volumeId);
  }
}
