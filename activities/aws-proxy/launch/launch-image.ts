import { type BlockDeviceMapping, type EC2Client, RegisterImageCommand } from '@aws-sdk/client-ec2';
import { ApplicationFailure } from '@temporalio/common';
import { hasCode } from '../../failures';
import { clientToken } from '../account/client-token';
import { type DrCopy } from '../account/contract';
import { deregisterImage, guestImage, listImages, ROOT_DEVICE } from '../account/images';
import { readInstance, readTags, runValues, tagFilters, tagList } from '../account/tags';
import { known } from '../account/volumes';
import { waitFor, type WaitOptions } from '../account/waiting';
import { type LaunchActivities } from './contract';
import { deviceNames } from './instance-volumes';
import { type InstancesOfRun } from './instances-of-run';
import { performance } from './volume-parameters';

type RegisterImage = Parameters<LaunchActivities['registerImage']>[0];

/** Seconds for an image to show itself after its registration, or after an earlier try's whose answer was lost. */
const VISIBLE_SECONDS = 120;

/**
 * RegisterImage of a VM's launch copy. The call has no token, so the name is the same for every try of a run: of two that
 * register at once, one is refused, and finds the other's.
 * @throws ApplicationFailure LaunchCopyGone, non-retryable
 */
export async function registerImage(
  ec2: EC2Client,
  instancesOf: InstancesOfRun,
  input: RegisterImage,
  options: WaitOptions = {},
): Promise<{ imageId: string }> {
  const { run, vm, drCopy } = input;
  const ours = { ...runValues(run), vm, role: 'launch-image' } as const;
  // Of a run that has launched the VM, this is a worker that was believed dead: its image has served, and is gone. EC2 lists
  // what was terminated for an hour.
  if ((await instancesOf(run)).some(({ Tags }) => readInstance(Tags)?.vm === vm))
    throw launchCopyGone(vm, 'it was launched by it already');
  const name = `lifeboat-${run.plan}-${vm}-${clientToken({ runId: run.runId, vm, call: 'RegisterImage' }).slice(0, 16)}`;
  try {
    await ec2.send(
      new RegisterImageCommand({
        Name: name,
        Description: `Lifeboat: ${vm} at ${drCopy.takenAt}`,
        ...guestImage(drCopy.configuration.firmware),
        ImdsSupport: 'v2.0',
        BlockDeviceMappings: mappings(input),
        TagSpecifications: [{ ResourceType: 'image', Tags: tagList(ours) }],
      }),
    );
  } catch (error) {
    if (isSnapshotGone(error)) throw launchCopyGone(vm, (error as Error).message);
    if (!hasCode(error, 'InvalidAMIName.Duplicate')) throw error;
  }
  const imageId = await waitFor(
    `the image ${name} to be available`,
    async () => {
      const image = (await listImages(ec2, tagFilters(ours))).find((candidate) => candidate.Name === name);
      if (image?.State === 'failed' || image?.State === 'error' || image?.State === 'invalid')
        throw launchCopyGone(vm, `its image ${image.ImageId} is in the state ${image.State}`);
      return image?.State === 'available' ? image.ImageId : undefined;
    },
    { ...options, limitSeconds: VISIBLE_SECONDS },
  );
  return { imageId: known('DescribeImages', imageId) };
}

/** The launch copy's snapshots where it has one, the DR copy's of all other disks. Terminating deletes the volumes. */
function mappings({ vm, drCopy, volumes }: RegisterImage): BlockDeviceMapping[] {
  const children = new Map(
    drCopy.launchCopy?.snapshots.map(({ diskKey, snapshotId }) => [diskKey, snapshotId]),
  );
  return [...deviceNames(vm, drCopy.disks, ROOT_DEVICE)].map(([disk, DeviceName]) => ({
    DeviceName,
    Ebs: {
      SnapshotId: children.get(disk.key) ?? disk.snapshotId,
      VolumeSize: disk.volumeGiB,
      ...performance(volumes?.[disk.key]),
      DeleteOnTermination: true,
    },
  }));
}

/** The disk that an instance launched by such an image has at each device name. */
export function disksByDevice(vm: string, drCopy: DrCopy): Map<string, DrCopy['disks'][number]> {
  return new Map([...deviceNames(vm, drCopy.disks, ROOT_DEVICE)].map(([disk, device]) => [device, disk]));
}

/** What EC2 says of a snapshot that is not there, or that nothing can be made of. */
export function isSnapshotGone(error: unknown): boolean {
  return hasCode(error, 'InvalidSnapshot.NotFound', 'InvalidSnapshotID.NotFound', 'IncorrectState');
}

export function launchCopyGone(vm: string, why: string): ApplicationFailure {
  return ApplicationFailure.nonRetryable(
    `${vm} cannot be launched by its launch copy: ${why.replace(/[\s.]+$/, '')}.`,
    'LaunchCopyGone',
  );
}

/** Deregisters what the run registered for the VMs. */
export async function deregisterImages(
  ec2: EC2Client,
  { run, vms }: Parameters<LaunchActivities['deregisterImages']>[0],
): Promise<void> {
  const wanted = new Set(vms);
  for (const { ImageId = '', Tags } of await listImages(
    ec2,
    tagFilters({ ...runValues(run), role: 'launch-image' }),
  )) {
    const image = readTags(Tags, ['role', 'vm']);
    // The filters have chosen already; what removes does not rely on that.
    if (image?.role === 'launch-image' && wanted.has(image.vm)) await deregisterImage(ec2, ImageId);
  }
}
