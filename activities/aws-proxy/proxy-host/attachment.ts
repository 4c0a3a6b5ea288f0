import { join } from 'node:path';
import { AttachVolumeCommand, type EC2Client, type Volume, type VolumeAttachment } from '@aws-sdk/client-ec2';
import { ApplicationFailure } from '@temporalio/common';
import { exists } from '../../../host/if-exists';
import { hasCode } from '../../failures';
import { checkDevice } from './device-identity';
import { type DeviceClaim, type DeviceNames } from './device-names';
import { findInstance, findVolume } from '../account/lookup';
import { waitFor } from '../account/waiting';
import { readTags } from '../account/tags';
import { volumeLooks } from '../account/volume-looks';
import { attachmentOf, requestDetach } from '../account/volumes';

/** The AWS proxy that this process runs on. */
export interface ProxyHost {
  ec2: EC2Client;
  /** The proxy's own instance. */
  instanceId: string;
  /** One for all that this process attaches to the instance. */
  deviceNames: DeviceNames;
  /** Where attached volumes appear; /dev/disk/by-id on EC2. */
  deviceDirectory: string;
  pollSeconds?: number;
}

export interface AttachedVolume {
  /** The volume on this host: a block device, or a file that behaves like one. */
  path: string;
  sizeBytes: number;
  /** See {@link detachFromProxy}; its name is another's then. */
  detach(): Promise<void>;
}

/**
 * Device names for all volumes that a task has on this proxy at once; waits for them. To be released when these are detached.
 * @throws ApplicationFailure InvalidRequest, non-retryable, or WrongState, retryable: see {@link DeviceNames}
 */
export function claimNames(host: ProxyHost, volumes: { volumeId: string }[]): Promise<DeviceClaim> {
  const { ec2, instanceId, deviceNames, pollSeconds } = host;
  const look = async () => (await findInstance(ec2, instanceId))?.BlockDeviceMappings ?? [];
  return deviceNames.claim(
    volumes.map(({ volumeId }) => volumeId),
    look,
    pollSeconds,
  );
}

/** A volume that a task has on this proxy alone: see {@link attachAt}. */
export async function attachToProxy(host: ProxyHost, volume: { volumeId: string }): Promise<AttachedVolume> {
  const claim = await claimNames(host, [volume]);
  try {
    const attached = await attachAt(host, volume, claim);
    return { ...attached, detach: () => attached.detach().finally(() => claim.release()) };
  } catch (error) {
    claim.release();
    throw error;
  }
}

/**
 * Attaches a volume to this proxy, or finds it attached. A volume that hangs on another proxy, whose worker has died,
 * is taken from it: from then on nothing that is left there can write to it.
 * @throws ApplicationFailure VolumeFailed, non-retryable, where it is gone, or in a state of failure
 * @throws ApplicationFailure VolumeTaken, non-retryable, where a recovered VM's instance has it
 * @throws ApplicationFailure WrongDevice, non-retryable, where something else is in the volume's place on this host
 */
export async function attachAt(
  host: ProxyHost,
  { volumeId }: { volumeId: string },
  claim: DeviceClaim,
): Promise<AttachedVolume> {
  const path = join(host.deviceDirectory, deviceFileName(volumeId));
  const look = volumeLooks(host.ec2, volumeId);
  const sizeGiB = await waitFor(
    `${volumeId} to be attached to ${host.instanceId}`,
    async () => {
      const volume = await look();
      if (volume === undefined) return undefined;
      const holder = attachmentOf(volume);
      if (holder === undefined) {
        if (volume.State === 'available') await attach(host, volumeId, claim);
        return undefined;
      }
      if (holder.InstanceId !== host.instanceId) {
        await takeFrom(host.ec2, volume, holder);
        return undefined;
      }
      return holder.State === 'attached' ? volume.Size : undefined;
    },
    host,
  );
  await waitFor(`${path} to appear`, async () => ((await exists(path)) ? true : undefined), {
    ...host,
    limitSeconds: 300,
  });
  const sizeBytes = sizeGiB * 2 ** 30;
  await checkDevice(path, { volumeId, sizeBytes });
  return { path, sizeBytes, detach: () => detachFromProxy(host, { volumeId }) };
}

/** Name of the link that udev makes for an EBS volume on a Nitro instance. */
function deviceFileName(volumeId: string): string {
  // The id becomes part of a path.
  if (!/^vol-[0-9a-f]{8,17}$/.test(volumeId))
    throw ApplicationFailure.nonRetryable(`"${volumeId}" is no volume id.`, 'InvalidRequest');
  return `nvme-Amazon_Elastic_Block_Store_${volumeId.replace('-', '')}`;
}

async function attach({ ec2, instanceId }: ProxyHost, volumeId: string, claim: DeviceClaim): Promise<void> {
  const device = claim.nameOf(volumeId);
  // Whoever waits for a name while it has others might wait for somebody who does the same.
  if (device === undefined)
    throw ApplicationFailure.retryable(
      `${volumeId} was attached to ${instanceId}, and was detached meanwhile.`,
      'WrongState',
    );
  try {
    await ec2.send(new AttachVolumeCommand({ VolumeId: volumeId, InstanceId: instanceId, Device: device }));
  } catch (error) {
    // Somebody who is not of this process took the name between our look and our call.
    if (hasCode(error, 'InvalidParameterValue') && /in use/i.test((error as Error).message))
      await claim.replace(volumeId);
    // An earlier try of ours had arrived: the next look tells.
    else if (!hasCode(error, 'VolumeInUse', 'IncorrectState')) throw error;
  }
}

async function takeFrom(ec2: EC2Client, volume: Volume, holder: VolumeAttachment): Promise<void> {
  const { VolumeId: volumeId = '' } = volume;
  const { InstanceId: instanceId = '' } = holder;
  const instance = await findInstance(ec2, instanceId);
  const ours = readTags(volume.Tags, ['plan', 'vm', 'run', 'role']) !== undefined;
  // An instance with our tags is a VM's, and no proxy.
  if (!ours || readTags(instance?.Tags, ['role']) !== undefined)
    throw ApplicationFailure.nonRetryable(
      `The volume ${volumeId} is attached to ${instanceId}, which is no AWS proxy.`,
      'VolumeTaken',
    );
  if (holder.State !== 'detaching') await requestDetach(ec2, volumeId, instanceId);
}

/** Takes a volume off this proxy, where it is on it, and waits; also when the activity was cancelled meanwhile. */
export async function detachFromProxy(host: ProxyHost, { volumeId }: { volumeId: string }): Promise<void> {
  await waitFor(
    `${volumeId} to be detached from ${host.instanceId}`,
    async () => {
      const volume = await findVolume(host.ec2, volumeId);
      if (volume === undefined) return true;
      const holder = attachmentOf(volume);
      if (holder === undefined) return volume.State === 'in-use' ? undefined : true;
      // Somebody else has taken it since, which they can only do after it was off this host.
      if (holder.InstanceId !== host.instanceId) return true;
      if (holder.State === 'attached' || holder.State === 'busy')
        await requestDetach(host.ec2, volumeId, host.instanceId);
      return undefined;
    },
    { pollSeconds: host.pollSeconds, uncancelled: true },
  );
}
