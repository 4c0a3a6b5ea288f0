import { GetInstanceProfileCommand, type IAMClient } from '@aws-sdk/client-iam';
import { log } from '@temporalio/activity';
import { mapAhead } from '../../../blocks/pipeline';
import { hasCode } from '../../failures';
import { someOf } from '../../../plan/some-of';
import { type PlacedVm } from './network';

/** Looks at once: IAM gives an account some tens of reads a second, and a plan has a handful of profiles. */
const LOOKS_AT_ONCE = 4;
/** Seconds that a failover waits for an answer that it can do without. */
const ANSWER_SECONDS = 10;

/**
 * Instance profiles of the plan that do not exist. IAM is one service for all Regions, whose own is far from here: that it does not
 * answer, or not to this proxy, keeps no failover from being made, which would find a wrong profile out itself.
 */
export async function profileFindings(iam: IAMClient, placed: PlacedVm[]): Promise<string[]> {
  const vms = Map.groupBy(
    placed.filter(({ site }) => site.instanceProfile !== undefined),
    ({ site }) => site.instanceProfile ?? '',
  );
  const findings: string[] = [];
  const check = async ([profile, of]: [string, PlacedVm[]]): Promise<string[]> => {
    const state = await look(iam, profile);
    return state === 'missing'
      ? [`The instance profile ${profile} of ${someOf(of.map(({ vm }) => vm))} does not exist.`]
      : [];
  };
  for await (const found of mapAhead([...vms], LOOKS_AT_ONCE, check)) findings.push(...found);
  return findings;
}

async function look(iam: IAMClient, profile: string): Promise<'there' | 'missing' | 'not known'> {
  // An ARN ends with the name, behind the path.
  const InstanceProfileName = profile.slice(profile.lastIndexOf('/') + 1);
  try {
    const { InstanceProfile } = await iam.send(new GetInstanceProfileCommand({ InstanceProfileName }), {
      abortSignal: AbortSignal.timeout(ANSWER_SECONDS * 1000),
    });
    return !profile.startsWith('arn:') || InstanceProfile?.Arn === profile ? 'there' : 'missing';
  } catch (error) {
    if (hasCode(error, 'NoSuchEntity', 'NoSuchEntityException')) return 'missing';
    log.warn(`Whether the instance profile ${profile} exists is not known: ${(error as Error).message}`);
    return 'not known';
  }
}
