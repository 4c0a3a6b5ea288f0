import { type EC2Client } from '@aws-sdk/client-ec2';
import { ApplicationFailure } from '@temporalio/common';
import { hasCode } from '../../failures';
import { launchOnce } from '../../heartbeat';
import { known } from '../account/volumes';
import { type WaitOptions } from '../account/waiting';
import { type LaunchActivities } from './contract';
import { type HostLookup } from './hosts';
import { launchDataOf } from './launch-instance';
import { runInstance } from './run-instance';
import { untilShell } from './shell';

type LaunchLicensedShell = Parameters<LaunchActivities['launchLicensedShell']>[0];

/**
 * What RunInstances says of an image that it does not launch ("Error codes for the Amazon EC2 API"): gone, not shared with the
 * account, or of a Marketplace product that nobody has subscribed to. OptInRequired is also what an account
 * gets that has no EC2 at all; the message tells.
 */
const REFUSED = [
  'InvalidAMIID.NotFound',
  'InvalidAMIID.Unavailable',
  'AuthFailure',
  'OptInRequired',
] as const;

/**
 * RunInstances from the plan's licensed image: what AWS bills for it is the instance's from then on, whatever is on its root.
 * A retry goes on from the instance that was launched; see launchShell.
 * @throws ApplicationFailure NoCapacity or LicensedImageRefused, non-retryable
 */
export async function launchLicensedShell(
  ec2: EC2Client,
  lookUpHosts: HostLookup,
  input: LaunchLicensedShell,
  options: WaitOptions = {},
): Promise<{ instanceId: string; availabilityZone: string }> {
  const instanceId = await launchOnce('RunInstances', async () => {
    const userData = input.byLaunchCopy ? await launchDataOf(lookUpHosts, input) : undefined;
    try {
      return await runInstance(ec2, input, { role: 'shell' }, userData);
    } catch (error) {
      if (hasCode(error, ...REFUSED)) throw refused(input, (error as Error).message);
      throw error;
    }
  });
  const instance = await untilShell(ec2, input, instanceId, input.leave, options);
  return { instanceId, availabilityZone: known('DescribeInstances', instance.Placement?.AvailabilityZone) };
}

function refused({ vm, imageId, instanceType }: LaunchLicensedShell, why: string): ApplicationFailure {
  return ApplicationFailure.nonRetryable(
    `EC2 does not launch ${vm} as ${instanceType} from its licensedImage ${imageId}: ${why.replace(/[\s.]+$/, '')}. ` +
      'Subscribe the account to it, or publish the plan with another image, and start again.',
    'LicensedImageRefused',
  );
}
