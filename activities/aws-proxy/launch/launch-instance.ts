import {
  type BlockDeviceMapping,
  CreateTagsCommand,
  type EC2Client,
  type Instance,
} from '@aws-sdk/client-ec2';
import { launchData, placeholderAddress } from '../../../guest/launch-data';
import { hasCode } from '../../failures';
import { launchOnce } from '../../heartbeat';
import { findInstance } from '../account/lookup';
import { diskValues, tagsOf } from '../account/tags';
import { known } from '../account/volumes';
import { waitFor, type WaitOptions } from '../account/waiting';
import { type LaunchActivities, type LaunchedInstance } from './contract';
import { type HostLookup } from './hosts';
import { disksByDevice, launchCopyGone } from './launch-image';
import { addresses } from './power';
import { instanceGone, launchFailed, runInstance } from './run-instance';
import { initializationRate } from './volume-parameters';

/** What RunInstances says where the image, or a snapshot that it is made of, is gone. */
const GONE = [
  'InvalidAMIID.NotFound',
  'InvalidAMIID.Unavailable',
  'InvalidSnapshot.NotFound',
  'InvalidSnapshotID.NotFound',
] as const;
/** Seconds for which an image that is not found is believed to be too new to be known everywhere. */
const IMAGE_KNOWN_SECONDS = 60;

type LaunchInstance = Parameters<LaunchActivities['launchInstance']>[0];

/**
 * RunInstances by a launch copy's image. A retry goes on from the instance that was launched; see launchShell.
 * @throws ApplicationFailure NoCapacity, LaunchCopyGone or InstanceGone, non-retryable
 */
export async function launchInstance(
  ec2: EC2Client,
  lookUpHosts: HostLookup,
  input: LaunchInstance,
  options: WaitOptions = {},
): Promise<LaunchedInstance> {
  const instanceId = await launchOnce('RunInstances', () => launch(ec2, lookUpHosts, input, options));
  let ran = false;
  const running = await waitFor(
    `${instanceId} of ${input.vm} to run`,
    async () => {
      const instance = await findInstance(ec2, instanceId);
      switch (instance?.State?.Name) {
        case 'running':
          ran = true;
          // All volumes are attached by then; which is which, only their place tells.
          return (await nameVolumes(ec2, input, instance)) ? instance : undefined;
        case 'shutting-down':
        case 'terminated':
          throw ran ? instanceGone(instance, input.vm) : launchFailed(instance, input.instanceType);
        case 'stopped':
          // Its guest went off, or EC2 could not start it: waiting does not change that.
          throw launchFailed(instance, input.instanceType);
        default:
          return undefined;
      }
    },
    options,
  );
  const availabilityZone = known('DescribeInstances', running.Placement?.AvailabilityZone);
  return {
    instanceId,
    availabilityZone,
    ...(await addresses(ec2, { ...input, instanceId }, running, options)),
  };
}

/** What a guest that was adapted beforehand has to learn of this run, as user data. */
export async function launchDataOf(
  lookUpHosts: HostLookup,
  { run, vm, test, without }: Pick<LaunchInstance, 'run' | 'vm' | 'test' | 'without'>,
): Promise<string> {
  const hosts = await lookUpHosts(run, vm, test, without);
  return launchData({
    runId: run.runId,
    addresses: hosts.map(({ address }, index) => ({ placeholder: placeholderAddress(index), address })),
  });
}

async function launch(
  ec2: EC2Client,
  lookUpHosts: HostLookup,
  input: LaunchInstance,
  options: WaitOptions,
): Promise<string> {
  const { vm, drCopy, test } = input;
  const { recoveryPoint } = drCopy;
  const userData = await launchDataOf(lookUpHosts, input);
  const role = test ? 'test' : 'recovery';
  const began = Date.now();
  return waitFor(
    `the image ${input.imageId} to be known`,
    async () => {
      try {
        const blockDevices = initialized(input);
        return await runInstance(
          ec2,
          { ...input, recoveryPoint, blockDevices },
          { role, recoveryPoint },
          userData,
        );
      } catch (error) {
        if (!hasCode(error, ...GONE)) throw error;
        const isNew = Date.now() - began < IMAGE_KNOWN_SECONDS * 1000;
        if (isNew && hasCode(error, 'InvalidAMIID.NotFound')) return undefined;
        throw launchCopyGone(vm, (error as Error).message);
      }
    },
    options,
  );
}

/** What of its volumes an image cannot say. All else of a device is as the image has it. */
function initialized({ vm, drCopy, volumes = {} }: LaunchInstance): BlockDeviceMapping[] {
  return [...disksByDevice(vm, drCopy)].flatMap(([DeviceName, { key }]) => {
    const Ebs = initializationRate(volumes[key]);
    return Ebs.VolumeInitializationRate === undefined ? [] : [{ DeviceName, Ebs }];
  });
}

/**
 * Says on each volume which disk it is, as failback goes by that. @returns whether all were there; EC2 may list them late
 */
async function nameVolumes(
  ec2: EC2Client,
  { run, vm, drCopy, tags }: LaunchInstance,
  instance: Instance,
): Promise<boolean> {
  const volumes = new Map(
    instance.BlockDeviceMappings?.map(({ DeviceName, Ebs }) => [DeviceName, Ebs?.VolumeId]) ?? [],
  );
  const disks = [...disksByDevice(vm, drCopy)];
  if (disks.some(([device]) => volumes.get(device) === undefined)) return false;
  for (const [device, disk] of disks)
    await launchOnce(`CreateTags ${disk.key}`, async () => {
      await ec2.send(
        new CreateTagsCommand({
          Resources: [volumes.get(device) ?? ''],
          // Beside those that it was launched with, among them the plan's own, which may name it otherwise.
          Tags: tagsOf(tags?.Name ?? `${vm} ${disk.key} (${run.plan})`, undefined, diskValues(disk)),
        }),
      );
      return 'done';
    });
  return true;
}
