import { ACCOUNT_ID } from '../account';
import { type IdentityStore, type RoleFixture } from '../iam/identities';
import { type Principal } from '../iam/principal';
import { trusts } from '../iam/trust';
import { type Call } from '../wire/endpoint';
import { AwsError } from '../wire/errors';

/** The account and the name in a role's ARN; undefined for what is none. */
export function readRoleArn(arn: string): { accountId: string; name: string } | undefined {
  const [, accountId, name] = /^arn:aws:iam::(\d{12}):role\/(?:.*\/)?([^/]+)$/.exec(arn) ?? [];
  return accountId === undefined || name === undefined ? undefined : { accountId, name };
}

/** The role that an ARN is of, where this account has it. */
export function roleOf(identities: IdentityStore, arn: string): RoleFixture | undefined {
  const { accountId, name = '' } = readRoleArn(arn) ?? {};
  return accountId === ACCOUNT_ID ? identities.role(name) : undefined;
}

/**
 * Judges who assumes a role, which no identity policy alone does: the role's trust policy has a say.
 * @param mayAssume whether somebody's own policies let them assume a role, by its ARN
 * @returns for the endpoint, beside what judges by identity policies: throws STS's refusal
 */
export function judgingAssumedRoles(
  identities: IdentityStore,
  mayAssume: (principal: Principal, roleArn: string) => boolean,
): (call: Call) => void {
  return ({ service, operation, input, principal }) => {
    if (service !== 'sts' || operation !== 'AssumeRole') return;
    const arn = String(input.RoleArn ?? '');
    // The handler says what is wrong with it.
    if (readRoleArn(arn) === undefined) return;
    if (principal.kind === 'root')
      throw new AwsError('AccessDenied', 'Roles may not be assumed by root accounts.', 403);
    const role = roleOf(identities, arn);
    const trusted = role === undefined ? 'no' : trusts(role.trust, principal);
    // Who may not is not told whether there is such a role.
    if (trusted === 'no' || (trusted === 'account' && !mayAssume(principal, arn)))
      throw new AwsError(
        'AccessDenied',
        `User: ${principal.arn} is not authorized to perform: sts:AssumeRole on resource: ${arn}`,
        403,
      );
  };
}
