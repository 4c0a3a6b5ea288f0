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
 * Instance profiles that do not exist, of those that the VMs want. IAM is one service for all Regions, whose own is far from here: that it does not
 * answer, or not to this proxy, keeps no failover from being made, which would find a wrong profile out itself.
 */
export async function findMissingProfiles(iam: IAMClient, placed: PlacedVm[]): Promise<ReadonlySet<string>> {
  const profiles = new Set(placed.flatMap(({ site }) => site.instanceProfile ?? []));
  const missing = new Set<string>();
  const check = async (profile: string) => ({ profile, state: await look(iam, profile) });
  for await (const { profile, state } of mapAhead([...profiles], LOOKS_AT_ONCE, check))
    if (state === 'missing') missing.add(profile);
  return missing;
}

export function profileFindings(missing: ReadonlySet<string>, placed: PlacedVm[]): string[] {
  const vms = Map.groupBy(
    placed.filter(({ site }) => missing.has(site.instanceProfile ?? '')),
    ({ site }) => site.instanceProfile,
  );
  return [...vms].map(
    ([profile, of]) => `The instance profile ${profile} of ${someOf(of.map(({ vm }) => vm))} does not exist.`,
  );
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
