import { type EC2Client, type Instance, StopInstancesCommand } from '@aws-sdk/client-ec2';
import { launchOnce } from '../../heartbeat';
import { type Attempt } from '../account/contract';
import { terminate } from '../account/clean-up';
import { findInstance, listInstances } from '../account/lookup';
import { readInstance, readTags, runValues, tagFilters } from '../account/tags';
import { detachVolume } from '../account/volumes';
import { findVolume } from '../account/lookup';
import { waitFor, type WaitOptions } from '../account/waiting';
import { type LaunchActivities } from './contract';
import { launchFailed, runInstance } from './run-instance';

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
  const instanceId = await launchOnce('RunInstances', () => runInstance(ec2, input, { role: 'shell' }));
  await untilShell(ec2, input, instanceId, 'stopped', options);
  return { instanceId };
}

/** Waits until a shell runs, or until it is stopped, by force as soon as it runs. */
export function untilShell(
  ec2: EC2Client,
  { vm, instanceType }: Pick<LaunchShell, 'vm' | 'instanceType'>,
  instanceId: string,
  wanted: 'running' | 'stopped',
  options: WaitOptions,
): Promise<Instance> {
  return waitFor(
    `the shell ${instanceId} of ${vm} to be ${wanted}`,
    async () => {
      const instance = await findInstance(ec2, instanceId);
      switch (instance?.State?.Name) {
        case 'running':
          if (wanted === 'running') return instance;
          await ec2.send(
            new StopInstancesCommand({ InstanceIds: [instanceId], Force: true, SkipOsShutdown: true }),
          );
          return undefined;
        case 'stopped':
          // One that was to run was left by its guest, or could not be started: whoever needs its root finds it stopped.
          return instance;
        case 'shutting-down':
        case 'terminated':
          throw launchFailed(instance, instanceType);
        default:
          // Not visible yet, pending, or stopping.
          return undefined;
      }
    },
    options,
  );
}

/**
 * Terminates what one attempt launched. The volumes of the VM that were put to a shell are taken off first, since
 * terminating would delete them; those that an instance was launched with go with it.
 */
export async function discardShell(
  ec2: EC2Client,
  attempt: Attempt & { launchedByCopy?: boolean },
  options: WaitOptions = {},
): Promise<void> {
  const wanted = { ...runValues(attempt.run), vm: attempt.vm, attempt: attempt.attempt };
  for (const instance of await listUntilSeen(ec2, wanted, options)) {
    const { InstanceId: instanceId = '' } = instance;
    for (const { Ebs } of attempt.launchedByCopy === true ? [] : (instance.BlockDeviceMappings ?? [])) {
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
