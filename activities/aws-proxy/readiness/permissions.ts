import {
  CreateVolumeCommand,
  type EC2Client,
  type EC2ServiceException,
  type Instance,
  RegisterImageCommand,
  RunInstancesCommand,
} from '@aws-sdk/client-ec2';
import { type Finding } from '../../../plan/readiness';
import { type RunContext } from '../../../plan/run';
import { subnetsOf } from '../../../plan/recovery-site/subnets';
import { type DrPlan } from '../../../plan/schema';
import { hasCode, throttledSeconds, toFailure, withoutSecrets } from '../../failures';
import { type DrCopy } from '../account/contract';
import { guestImage, listImages, ROOT_DEVICE } from '../account/images';
import { runValues, tagFilters, tagsOf } from '../account/tags';
import { type SiteLooks } from './looks';

/**
 * What the AWS proxy may not do of a failover's calls, found out by asking EC2 for each without having it done ("DryRun", EC2 API
 * Reference): what a policy names, such as tags and subnets, is as in a failover of the plan's first VM. A failover does not ask
 * this, as it makes the calls themselves within the minute.
 */
export async function permissionFindings(
  ec2: EC2Client,
  run: Pick<RunContext, 'plan' | 'runId'>,
  plan: DrPlan,
  looks: SiteLooks,
): Promise<Finding[]> {
  const [drCopy] = looks.copies.drCopies;
  const first = drCopy === undefined ? undefined : firstCalls(run, plan, looks, drCopy);
  if (first === undefined) return [];
  const { createVolume, registerImage, runInstances } = first;
  const findings = await permitted('ec2:CreateVolume', () => ec2.send(createVolume));
  if (registerImage !== undefined)
    findings.push(...(await permitted('ec2:RegisterImage', () => ec2.send(registerImage))));
  const imageId = await someImage(ec2, looks);
  // Before the first failover there may be no image that an instance could be asked for of.
  if (imageId !== undefined)
    findings.push(...(await permitted('ec2:RunInstances', () => ec2.send(runInstances(imageId)))));
  return findings;
}

function firstCalls(run: Pick<RunContext, 'plan' | 'runId'>, plan: DrPlan, looks: SiteLooks, drCopy: DrCopy) {
  const { vm, disks, configuration, recoveryPoint } = drCopy;
  const { places, placed, fixed } = looks.production;
  const boot = disks.find((disk) => disk.boot);
  const AvailabilityZone = places.get(vm)?.zones[0];
  const site = placed.find((one) => one.vm === vm)?.site;
  const InstanceType = plan.vms.find(({ name }) => name === vm)?.instanceTypes[0];
  if (boot === undefined || AvailabilityZone === undefined || site === undefined) return undefined;
  const ours = { ...runValues(run), vm, attempt: 1, recoveryPoint } as const;
  const tags = tagsOf(undefined, site.tags, { ...ours, role: 'recovery' });
  const Ebs = { SnapshotId: boot.snapshotId, VolumeSize: boot.volumeGiB };
  return {
    createVolume: new CreateVolumeCommand({
      DryRun: true,
      AvailabilityZone,
      SnapshotId: boot.snapshotId,
      TagSpecifications: [{ ResourceType: 'volume', Tags: tags }],
    }),
    registerImage:
      plan.replication.launchCopy === true
        ? new RegisterImageCommand({
            DryRun: true,
            Name: `lifeboat-${plan.name}-${vm}-check`,
            ...guestImage(configuration.firmware),
            BlockDeviceMappings: [{ DeviceName: ROOT_DEVICE, Ebs }],
            TagSpecifications: [
              {
                ResourceType: 'image',
                Tags: tagsOf(undefined, site.tags, { ...ours, role: 'launch-image' }),
              },
            ],
          })
        : undefined,
    runInstances: (ImageId: string) =>
      new RunInstancesCommand({
        DryRun: true,
        ImageId,
        InstanceType: InstanceType as Instance['InstanceType'],
        MinCount: 1,
        MaxCount: 1,
        NetworkInterfaces: [
          {
            DeviceIndex: 0,
            SubnetId: fixed.get(vm)?.SubnetId ?? subnetsOf(site)[0],
            Groups: site.securityGroups,
          },
        ],
        TagSpecifications: (['instance', 'volume', 'network-interface'] as const).map((ResourceType) => ({
          ResourceType,
          Tags: tags,
        })),
      }),
  };
}

/** An image of those that a failover of the plan launches by: one that is there. */
async function someImage(ec2: EC2Client, { images }: SiteLooks): Promise<string | undefined> {
  const [licensed] = images.keys();
  return licensed ?? (await listImages(ec2, tagFilters({ role: 'shell' })))[0]?.ImageId;
}

/** Whether EC2 has answered that the request will not do, and not that it has trouble itself. */
function isRefusal(error: unknown): boolean {
  const status = (error as Partial<EC2ServiceException>).$metadata?.httpStatusCode ?? 0;
  return (status >= 400 && status < 500) || toFailure(error, 'ask').nonRetryable === true;
}

async function permitted(action: string, ask: () => Promise<unknown>): Promise<Finding[]> {
  try {
    await ask();
    // With DryRun, EC2 has nothing to answer but errors.
    return [];
  } catch (error) {
    if (hasCode(error, 'DryRunOperation')) return [];
    if (hasCode(error, 'UnauthorizedOperation', 'AccessDenied', 'AccessDeniedException'))
      return [
        {
          code: 'permission',
          severity: 'impossible',
          text: `The AWS proxy may not do what a failover does: ${action}. EC2 says: ${withoutSecrets((error as Error).message)}`,
          todo: `Allow it, as docs/aws.md has it: ${action}.`,
          about: action,
        },
      ];
    // A passing trouble is tried again, with all the rest; what EC2 refuses is no such thing here, whatever it is in a failover.
    if (throttledSeconds(error) !== undefined || !isRefusal(error)) throw error;
    const failure = toFailure(error, `ask whether ${action} is permitted`);
    return [
      {
        code: 'not-checked',
        severity: 'warning',
        text: failure.message,
        todo: 'Look at what EC2 says; a failover may meet the same.',
        about: action,
      },
    ];
  }
}
