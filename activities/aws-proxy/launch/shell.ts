import {
  type EC2Client,
  type Instance,
  RunInstancesCommand,
  StopInstancesCommand,
} from '@aws-sdk/client-ec2';
import { ApplicationFailure } from '@temporalio/common';
import { hasCode } from '../../failures';
import { launchOnce } from '../../heartbeat';
import { clientToken } from '../account/client-token';
import { type Attempt } from '../account/contract';
import { terminate } from '../account/clean-up';
import { findInstance, listInstances } from '../account/lookup';
import { readInstance, readTags, runValues, tagFilters, tagList } from '../account/tags';
import { detachVolume, known } from '../account/volumes';
import { findVolume } from '../account/lookup';
import { waitFor, type WaitOptions } from '../account/waiting';
import { type LaunchActivities } from './contract';

type LaunchShell = Parameters<LaunchActivities['launchShell']>[0];

/** Looks at a list that stays empty before it counts as empty: an instance may show late after a lost answer. */
const EMPTY_LOOKS = 3;

/**
 * RunInstances from the shell image, and a stop as soon as it runs: nothing is on its disk that could mind.
 * A retry goes on from the instance that was launched, in whatever state it is: RunInstances has the smallest of EC2's
 * buckets (5, refilled by 2 a second). Where the heartbeats do not tell which one it is, the client token does.
 * @throws ApplicationFailure NoCapacity, non-retryable
 */
export async function launchShell(
  ec2: EC2Client,
  input: LaunchShell,
  options: WaitOptions = {},
): Promise<{ instanceId: string }> {
  const instanceId = await launchOnce('RunInstances', () => runInstance(ec2, input));
  await waitFor(
    `the shell ${instanceId} of ${input.vm} to be stopped`,
    async () => {
      const instance = await findInstance(ec2, instanceId);
      switch (instance?.State?.Name) {
        case 'running':
          await ec2.send(
            new StopInstancesCommand({ InstanceIds: [instanceId], Force: true, SkipOsShutdown: true }),
          );
          return undefined;
        case 'stopped':
          return true;
        case 'shutting-down':
        case 'terminated':
          throw launchFailed(instance, input.instanceType);
        default:
          // Not visible yet, pending, or stopping.
          return undefined;
      }
    },
    options,
  );
  return { instanceId };
}

async function runInstance(ec2: EC2Client, input: LaunchShell): Promise<string> {
  const { run, vm, attempt, test, recoveryPoint, publicAddress, privateAddress } = input;
  const ours = { ...runValues(run), vm, attempt };
  const name = { Key: 'Name', Value: `${vm} (${run.plan})` };
  const role = test ? 'test' : 'recovery';
  try {
    const { Instances } = await ec2.send(
      new RunInstancesCommand({
        ClientToken: clientToken({ runId: run.runId, vm, attempt, call: 'RunInstances' }),
        ImageId: input.imageId,
        InstanceType: input.instanceType as Instance['InstanceType'],
        MinCount: 1,
        MaxCount: 1,
        InstanceInitiatedShutdownBehavior: 'stop',
        // IMDSv2 only, and no further than the instance itself: what was protected may be hostile, or be taken over.
        MetadataOptions: { HttpEndpoint: 'enabled', HttpTokens: 'required', HttpPutResponseHopLimit: 1 },
        NetworkInterfaces: [
          {
            DeviceIndex: 0,
            SubnetId: input.subnet,
            Groups: input.securityGroups,
            AssociatePublicIpAddress: publicAddress,
            DeleteOnTermination: true,
            ...(privateAddress === undefined ? {} : { PrivateIpAddress: privateAddress }),
          },
        ],
        TagSpecifications: [
          {
            ResourceType: 'instance',
            Tags: [name, ...tagList({ ...ours, role, recoveryPoint, publicAddress })],
          },
          // The shell's own root, which is deleted before the instance runs for good.
          { ResourceType: 'volume', Tags: tagList({ ...ours, role: 'shell' }) },
          { ResourceType: 'network-interface', Tags: [name, ...tagList({ ...ours, role })] },
        ],
      }),
    );
    return known('RunInstances', Instances?.[0]?.InstanceId);
  } catch (error) {
    // A type that the zone does not have is, to the plan, a type without capacity: the next one may be there.
    if (hasCode(error, 'Unsupported')) throw noCapacity(input.instanceType, (error as Error).message);
    throw error;
  }
}

/** An instance that EC2 took back while it was starting says why in its state reason only. */
function launchFailed(instance: Instance, instanceType: string): ApplicationFailure {
  const { Code: code = '', Message: message = 'no reason given' } = instance.StateReason ?? {};
  if (isCapacityReason(code)) return noCapacity(instanceType, message);
  return ApplicationFailure.nonRetryable(
    `EC2 ended ${instance.InstanceId} while it was starting: ${message} (${code}).`,
    'LaunchFailed',
  );
}

/** State reasons as "Troubleshoot instance launch issues" lists them. */
export function isCapacityReason(code: string | undefined): boolean {
  return /^(Server|Client)\.Insufficient(Instance|Host|Reserved\w*)?Capacity$/.test(code ?? '');
}

/** What was to run is terminated, or about to be, and its volumes with it. */
export function instanceGone(instance: Instance, vm: string): ApplicationFailure {
  return ApplicationFailure.nonRetryable(
    `The instance ${instance.InstanceId} of ${vm} was terminated: ${instance.StateReason?.Message ?? 'no reason given'}.`,
    'InstanceGone',
  );
}

export function noCapacity(instanceType: string, message: string): ApplicationFailure {
  return ApplicationFailure.nonRetryable(
    `AWS has no capacity for ${instanceType} in this Availability Zone: ${message.replace(/[\s.]+$/, '')}.`,
    'NoCapacity',
  );
}

/**
 * Terminates what one attempt launched. The volumes of the VM that hang on it already are taken off first, since
 * terminating would delete them.
 */
export async function discardShell(
  ec2: EC2Client,
  attempt: Attempt,
  options: WaitOptions = {},
): Promise<void> {
  const wanted = { ...runValues(attempt.run), vm: attempt.vm, attempt: attempt.attempt };
  for (const instance of await listUntilSeen(ec2, wanted, options)) {
    const { InstanceId: instanceId = '' } = instance;
    for (const { Ebs } of instance.BlockDeviceMappings ?? []) {
      const volumeId = Ebs?.VolumeId ?? '';
      const volume = await findVolume(ec2, volumeId);
      if (volume !== undefined && readTags(volume.Tags, ['role'])?.role !== 'shell')
        await detachVolume(ec2, volumeId, options);
    }
    await terminate(ec2, instanceId);
    await waitFor(
      `${instanceId} to be terminated`,
      async () => {
        const state = (await findInstance(ec2, instanceId))?.State?.Name;
        return state === undefined || state === 'terminated' ? true : undefined;
      },
      options,
    );
  }
}

async function listUntilSeen(
  ec2: EC2Client,
  wanted: Parameters<typeof tagFilters>[0],
  options: WaitOptions,
): Promise<Instance[]> {
  let looks = 0;
  return waitFor(
    'the instances of the attempt to be listed',
    async () => {
      const seen = (await listInstances(ec2, tagFilters(wanted))).filter(
        ({ Tags, State }) => readInstance(Tags) !== undefined && State?.Name !== 'terminated',
      );
      looks += 1;
      return seen.length > 0 || looks === EMPTY_LOOKS ? seen : undefined;
    },
    options,
  );
}
