import {
  type BlockDeviceMapping,
  type EC2Client,
  type IamInstanceProfileSpecification,
  type Instance,
  type InstanceNetworkInterfaceSpecification,
  RunInstancesCommand,
} from '@aws-sdk/client-ec2';
import { ApplicationFailure } from '@temporalio/common';
import { hasCode } from '../../failures';
import { clientToken } from '../account/client-token';
import { runValues, tagsOf, type TagValues } from '../account/tags';
import { known } from '../account/volumes';
import { type LaunchSite, type ShellLaunch } from './contract';

/**
 * RunInstances, of one instance of the VM.
 * @param input a shell, or a VM of that recovery point; `blockDevices`: of the image's devices, what is to be otherwise
 * @param volumes what its volumes are for, and what is known of all of them
 * @param userData what the guest may read about itself; at most 16 KiB ("Instance user data", Amazon EC2 User Guide)
 * @throws ApplicationFailure NoCapacity, non-retryable
 */
export async function runInstance(
  ec2: EC2Client,
  input: ShellLaunch & { blockDevices?: BlockDeviceMapping[] },
  volumes: Partial<TagValues>,
  userData?: string,
): Promise<string> {
  const { run, vm, attempt, test, recoveryPoint, publicAddress, instanceProfile, tags } = input;
  const { blockDevices = [] } = input;
  const ours = { ...runValues(run), vm, attempt };
  const name = `${vm} (${run.plan})`;
  const role = test ? 'test' : 'recovery';
  try {
    const { Instances } = await ec2.send(
      new RunInstancesCommand({
        ClientToken: clientToken({ runId: run.runId, vm, attempt, call: 'RunInstances' }),
        ImageId: input.imageId,
        InstanceType: input.instanceType as Instance['InstanceType'],
        MinCount: 1,
        MaxCount: 1,
        ...(userData === undefined ? {} : { UserData: Buffer.from(userData).toString('base64') }),
        ...(instanceProfile === undefined ? {} : { IamInstanceProfile: profileOf(instanceProfile) }),
        ...(blockDevices.length === 0 ? {} : { BlockDeviceMappings: blockDevices }),
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
            ...addressesOf(input),
          },
        ],
        TagSpecifications: [
          {
            ResourceType: 'instance',
            Tags: tagsOf(name, tags, { ...ours, role, recoveryPoint, publicAddress }),
          },
          { ResourceType: 'volume', Tags: tagsOf(undefined, tags, { ...ours, ...volumes }) },
          { ResourceType: 'network-interface', Tags: tagsOf(name, tags, { ...ours, role }) },
        ],
      }),
    );
    return known('RunInstances', Instances?.[0]?.InstanceId);
  } catch (error) {
    // A type that the zone does not have is, to the plan, a type without capacity: the next one may be there.
    // Nor is one of which the subnet has no address left.
    if (hasCode(error, 'Unsupported', 'InsufficientFreeAddressesInSubnet'))
      throw noCapacity(input.instanceType, (error as Error).message);
    throw error;
  }
}

function profileOf(instanceProfile: string): IamInstanceProfileSpecification {
  return instanceProfile.startsWith('arn:') ? { Arn: instanceProfile } : { Name: instanceProfile };
}

/** The fixed addresses of the network card: one by itself, or all of them, of which the first is the primary one. */
function addressesOf({
  privateAddress,
  secondaryAddresses = [],
}: LaunchSite): Pick<InstanceNetworkInterfaceSpecification, 'PrivateIpAddress' | 'PrivateIpAddresses'> {
  if (privateAddress === undefined) return {};
  if (secondaryAddresses.length === 0) return { PrivateIpAddress: privateAddress };
  return {
    PrivateIpAddresses: [
      { Primary: true, PrivateIpAddress: privateAddress },
      ...secondaryAddresses.map((PrivateIpAddress) => ({ Primary: false, PrivateIpAddress })),
    ],
  };
}

/** What another launch may do away with: "An internal error caused the instance to terminate at launch". */
const OF_ANOTHER_LAUNCH = 'Server.InternalError';

/**
 * An instance that EC2 took back while it was starting says why in its state reason only ("Troubleshoot instance launch
 * issues", Amazon EC2 User Guide).
 * @returns NoCapacity; LaunchAborted, where EC2 itself is to blame and a further launch is worth a try; or LaunchFailed
 */
export function launchFailed(instance: Instance, instanceType: string): ApplicationFailure {
  const { Code: code = '', Message: message = 'no reason given' } = instance.StateReason ?? {};
  if (isCapacityReason(code)) return noCapacity(instanceType, message);
  if (code === OF_ANOTHER_LAUNCH && instance.State?.Name !== 'stopped')
    return ApplicationFailure.nonRetryable(
      `EC2 terminated ${instance.InstanceId} while it was starting: ${message} (${code}).`,
      'LaunchAborted',
    );
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
