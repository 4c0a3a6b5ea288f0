import { DescribeKeyCommand, type KMSClient } from '@aws-sdk/client-kms';
import { mapAhead } from '../../../blocks/pipeline';
import { type Finding } from '../../../plan/readiness';
import { type DrPlan } from '../../../plan/schema';
import { someOf } from '../../../plan/some-of';
import { hasCode, toFailure } from '../../failures';
import { type DrCopySet } from '../account/dr-copy';

/** Keys looked at at once: a plan has one, and some that were before it. */
const LOOKS_AT_ONCE = 4;
/** Seconds for an answer: KMS need not be reachable from the proxy's network, as EBS uses the keys. */
const ANSWER_SECONDS = 10;

/**
 * KMS keys that cannot be used. Of a DR copy by one that is disabled, deleted or about to be nothing can be made ("Key states of AWS
 * KMS keys", AWS KMS Developer Guide); by a plan's key that holds none yet, nothing is replicated.
 */
export async function keyStateFindings(
  kms: KMSClient,
  { recoverySite }: Pick<DrPlan, 'recoverySite'>,
  sets: readonly DrCopySet[],
): Promise<Finding[]> {
  const users = new Map<string, string[]>();
  for (const { vm, disks } of sets)
    for (const key of new Set(disks.flatMap(({ kmsKey }) => kmsKey ?? [])))
      users.set(key, [...(users.get(key) ?? []), vm]);
  const { kmsKey } = recoverySite;
  if (kmsKey !== undefined && !users.has(kmsKey)) users.set(kmsKey, []);
  const findings: Finding[] = [];
  const look = async ([key, vms]: [string, string[]]) => ({ key, vms, state: await stateOf(kms, key) });
  for await (const { key, vms, state } of mapAhead([...users], LOOKS_AT_ONCE, look))
    if ('problem' in state) findings.push(notAsked(key, state.problem));
    else if (state.is !== 'Enabled') findings.push(unusable(key, vms, state.is));
  return findings;
}

function unusable(key: string, vms: string[], state: string): Finding {
  const [vm] = vms;
  const holds =
    vms.length === 0
      ? "the plan's key, by which nothing can be replicated"
      : `of the DR copy of ${someOf(vms)}, of which no volume can be made`;
  return {
    code: 'kms-key-unusable',
    severity: vms.length === 0 ? 'warning' : 'impossible',
    ...(vm === undefined || vms.length > 1 ? {} : { vm }),
    text: `The KMS key ${key} is ${state}: ${holds}.`,
    todo: `Bring it back before it is deleted (aws kms cancel-key-deletion, aws kms enable-key), or name another recoverySite.kmsKey and restore.`,
    about: key,
  };
}

const notAsked = (key: string, problem: string): Finding => ({
  code: 'not-checked',
  severity: 'warning',
  text: `Whether the KMS key ${key} can be used could not be asked: ${problem}`,
  todo: 'Allow the AWS proxy kms:DescribeKey on the key, and a way to the endpoint of KMS.',
  about: key,
});

async function stateOf(kms: KMSClient, KeyId: string): Promise<{ is: string } | { problem: string }> {
  try {
    const { KeyMetadata } = await kms.send(new DescribeKeyCommand({ KeyId }), {
      abortSignal: AbortSignal.timeout(ANSWER_SECONDS * 1000),
    });
    return { is: KeyMetadata?.KeyState ?? 'of no known state' };
  } catch (error) {
    if (hasCode(error, 'NotFoundException')) return { is: 'not there' };
    return { problem: toFailure(error, 'ask KMS').message };
  }
}
