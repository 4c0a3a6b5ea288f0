import { type OneOrMore } from './policy-document';
import { type Principal, roleArnOf } from './principal';

/** A statement of a role's trust policy: who may assume it. Conditions, and services that assume, are not provided for here. */
interface TrustStatement {
  Sid?: string;
  Effect: 'Allow' | 'Deny';
  Principal: { AWS: OneOrMore<string> };
  Action: OneOrMore<string>;
}

export interface TrustPolicy {
  Version?: string;
  Statement: TrustStatement[];
}

const ASSUME = 'sts:AssumeRole';

/**
 * What a trust policy says of somebody ("How permissions for AssumeRole are evaluated", IAM User Guide): `named` where it names
 * them themselves, which is enough in the role's own account; `account` where it names their account, so that their own
 * policies have to allow it, too.
 */
export function trusts(policy: TrustPolicy, { arn, accountId }: Principal): 'named' | 'account' | 'no' {
  const account = [accountId, `arn:aws:iam::${accountId}:root`];
  const all = roleArnOf(arn) === undefined ? [arn] : [arn, roleArnOf(arn)];
  let found: 'named' | 'account' | 'no' = 'no';
  for (const { Effect, Principal: named, Action } of policy.Statement) {
    if (![Action].flat().includes(ASSUME)) continue;
    const principals = [named.AWS].flat();
    const byName = principals.some((one) => all.includes(one));
    const byAccount = principals.some((one) => one === '*' || account.includes(one));
    if (!byName && !byAccount) continue;
    if (Effect === 'Deny') return 'no';
    if (byName) found = 'named';
    else if (found === 'no') found = 'account';
  }
  return found;
}
