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

/** The role of a session, by the session's ARN: policies and trust policies name it as well; undefined for all others. */
export function roleArnOf(arn: string): string | undefined {
  const [, account, role] = /^arn:aws:sts::(\d+):assumed-role\/([^/]+)\//.exec(arn) ?? [];
  return role === undefined ? undefined : `arn:aws:iam::${account}:role/${role}`;
}
