import {
  type EC2Client,
  GetConsoleOutputCommand,
  type Instance,
  ModifyInstanceAttributeCommand,
  StartInstancesCommand,
  StopInstancesCommand,
} from '@aws-sdk/client-ec2';
import { ApplicationFailure } from '@temporalio/common';
import { hasCode } from '../../failures';
import { type InstanceAddresses, type LaunchActivities } from './contract';
import { instanceGone, isCapacityReason, noCapacity } from './run-instance';
import { findInstance } from '../account/lookup';
import { readInstance } from '../account/tags';
import { waitFor, type WaitOptions } from '../account/waiting';

type StartInstance = Parameters<LaunchActivities['startInstance']>[0];
type StopInstance = Parameters<LaunchActivities['stopInstance']>[0];

/** Looks for which an instance may still be shown as stopped after StartInstances was answered. */
const STALE_LOOKS = 10;
/** Seconds after which an instance that was to have a public address is used without one. */
const PUBLIC_ADDRESS_SECONDS = 60;

/**
 * StartInstances, then the addresses: a stopped instance has no lasting public one. Another type is set first.
 * @throws ApplicationFailure NoCapacity, non-retryable
 * @throws ApplicationFailure WrongInstance, non-retryable
 */
export async function startInstance(
  ec2: EC2Client,
  input: StartInstance,
  options: WaitOptions = {},
): Promise<InstanceAddresses> {
  const { instanceId, instanceType } = input;
  let looksSinceStart: number | undefined;
  const running = await waitFor(
    `${instanceId} of ${input.vm} to run`,
    async () => {
      const instance = await requireInstance(ec2, input);
      switch (instance.State?.Name) {
        case 'running':
          return instance;
        case 'stopped':
          if (looksSinceStart !== undefined) {
            if (isCapacityReason(instance.StateReason?.Code))
              throw noCapacity(instanceType, instance.StateReason?.Message ?? 'no reason given');
            if (looksSinceStart++ < STALE_LOOKS) return undefined;
            throw stoppedAgain(instance);
          }
          if (instance.InstanceType !== instanceType) await setType(ec2, instanceId, instanceType);
          await requestStart(ec2, input);
          looksSinceStart = 0;
          return undefined;
        case 'shutting-down':
        case 'terminated':
          throw instanceGone(instance, input.vm);
        default:
          return undefined;
      }
    },
    options,
  );
  return addresses(ec2, input, running, options);
}

/** An instance that carries this plan's tags. A failback starts what another run launched, so any run's will do. */
async function requireInstance(
  ec2: EC2Client,
  { run, vm, instanceId }: Pick<StartInstance, 'run' | 'vm' | 'instanceId'>,
): Promise<Instance> {
  const instance = await findInstance(ec2, instanceId);
  const tags = readInstance(instance?.Tags);
  if (instance === undefined || tags?.plan !== run.plan || tags.vm !== vm)
    throw ApplicationFailure.nonRetryable(
      `The instance ${instanceId} is not ${vm}'s of the plan ${run.plan}.`,
      'WrongInstance',
    );
  return instance;
}

async function setType(ec2: EC2Client, instanceId: string, instanceType: string): Promise<void> {
  await ec2.send(
    new ModifyInstanceAttributeCommand({ InstanceId: instanceId, InstanceType: { Value: instanceType } }),
  );
}

async function requestStart(ec2: EC2Client, { instanceId, instanceType }: StartInstance): Promise<void> {
  try {
    await ec2.send(new StartInstancesCommand({ InstanceIds: [instanceId] }));
  } catch (error) {
    if (hasCode(error, 'Unsupported')) throw noCapacity(instanceType, (error as Error).message);
    throw error;
  }
}

function stoppedAgain(instance: Instance): ApplicationFailure {
  const { Code: code, Message: message } = instance.StateReason ?? {};
  return ApplicationFailure.retryable(
    `The instance ${instance.InstanceId} stopped right after its start: ${message ?? 'no reason given'} (${code ?? 'no code'}).`,
    'StartFailed',
  );
}

export async function addresses(
  ec2: EC2Client,
  input: Pick<StartInstance, 'run' | 'vm' | 'instanceId'>,
  running: Instance,
  options: WaitOptions,
): Promise<InstanceAddresses> {
  const wantsPublic = readInstance(running.Tags)?.publicAddress === true;
  const begun = Date.now();
  return waitFor(
    `${input.instanceId} of ${input.vm} to have its addresses`,
    async () => {
      const instance = await requireInstance(ec2, input);
      const { PrivateIpAddress: privateAddress, PublicIpAddress: publicAddress } = instance;
      if (privateAddress === undefined) return undefined;
      const ipv6Addresses = (instance.NetworkInterfaces ?? []).flatMap(({ Ipv6Addresses }) =>
        (Ipv6Addresses ?? []).flatMap(({ Ipv6Address }) => Ipv6Address ?? []),
      );
      const always = { privateAddress, ...(ipv6Addresses.length === 0 ? {} : { ipv6Addresses }) };
      if (publicAddress !== undefined) return { ...always, publicAddress };
      const late = Date.now() - begun > PUBLIC_ADDRESS_SECONDS * 1000;
      return wantsPublic && !late ? undefined : always;
    },
    options,
  );
}

/**
 * Stops gracefully: the guest shuts down by itself, and EC2 takes the power after some minutes. By force, it is not asked.
 */
export async function stopInstance(
  ec2: EC2Client,
  input: StopInstance,
  options: WaitOptions = {},
): Promise<void> {
  const { instanceId, force } = input;
  const how = force === true ? { Force: true, SkipOsShutdown: true } : {};
  await waitFor(
    `${instanceId} of ${input.vm} to be stopped`,
    async () => {
      const { State } = await requireInstance(ec2, input);
      if (State?.Name === 'stopped') return true;
      if (State?.Name === 'terminated' || State?.Name === 'shutting-down')
        throw ApplicationFailure.nonRetryable(
          `The instance ${instanceId} of ${input.vm} is being terminated; it cannot be stopped.`,
          'InstanceGone',
        );
      if (State?.Name === 'running')
        await ec2.send(new StopInstancesCommand({ InstanceIds: [instanceId], ...how }));
      return undefined;
    },
    options,
  );
}

/** The newest of what the instance wrote to its serial console. Nitro instances have it at any time (`Latest`). */
export async function consoleOutput(ec2: EC2Client, instanceId: string): Promise<string> {
  return (await consoleBytes(ec2, instanceId)).toString('utf8');
}

/** The same as it is: a guest may write anything there. */
export async function consoleBytes(ec2: EC2Client, instanceId: string): Promise<Buffer> {
  const { Output } = await ec2.send(new GetConsoleOutputCommand({ InstanceId: instanceId, Latest: true }));
  return Buffer.from(Output ?? '', 'base64');
}
