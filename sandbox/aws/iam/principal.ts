import { type PolicyDocument } from './policy-document';

/** Who makes a request. */
export interface Principal {
  /** As STS tells it and as IAM's refusals name it: `arn:aws:sts::ACCOUNT:assumed-role/ROLE/SESSION` of a session. */
  arn: string;
  accountId: string;
  kind: 'root' | 'user' | 'role-session';
  /** What it may do; undefined: everything. */
  policies: PolicyDocument[] | undefined;
}

/** The account's root user, who may do everything: whose key the sandbox's own is. */
export function rootPrincipal(accountId: string): Principal {
  return { arn: `arn:aws:iam::${accountId}:root`, accountId, kind: 'root', policies: undefined };
}
