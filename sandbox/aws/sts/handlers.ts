import {
  type AssumeRoleRequest,
  type AssumeRoleResponse,
  type GetCallerIdentityRequest,
  type GetCallerIdentityResponse,
} from '@aws-sdk/client-sts';
import { type IdentityStore, uniqueId } from '../iam/identities';
import { type Principal } from '../iam/principal';
import { type Call } from '../wire/endpoint';
import { AwsError } from '../wire/errors';
import { roleOf } from './assuming';

/** Seconds ("AssumeRole", AWS STS API Reference). */
const SHORTEST_SESSION = 900;
const USUAL_SESSION = 3600;

/**
 * @param longestSession seconds after which every session ends here, whatever was asked for: for tests that have no quarter of an hour
 */
export function stsHandlers(identities: IdentityStore, longestSession = Infinity) {
  return {
    GetCallerIdentity: (
      _input: GetCallerIdentityRequest,
      { principal }: Call,
    ): GetCallerIdentityResponse => ({
      Account: principal.accountId,
      UserId: userId(principal),
      Arn: principal.arn,
    }),

    AssumeRole(input: AssumeRoleRequest): AssumeRoleResponse {
      const { RoleArn: roleArn = '', RoleSessionName: name = '', DurationSeconds } = input;
      if (!/^[\w+=,.@-]{2,64}$/.test(name))
        throw invalid(
          'roleSessionName',
          name,
          'Member must satisfy regular expression pattern: [\\w+=,.@-]*',
        );
      // Who may not has been told before: assuming.ts.
      const role = roleOf(identities, roleArn);
      if (role === undefined) throw new AwsError('ValidationError', `${roleArn} is invalid`);
      for (const name of NOT_OFFERED)
        if (input[name] !== undefined)
          throw new AwsError(
            'NotImplemented',
            `AssumeRole with ${name} is not offered by this endpoint.`,
            501,
          );

      const longest = role.longestSession ?? USUAL_SESSION;
      const asked = DurationSeconds ?? USUAL_SESSION;
      if (asked < SHORTEST_SESSION)
        throw invalid(
          'durationSeconds',
          asked,
          `Member must have value greater than or equal to ${SHORTEST_SESSION}`,
        );
      if (asked > longest)
        throw new AwsError(
          'ValidationError',
          'The requested DurationSeconds exceeds the MaxSessionDuration set for this role.',
        );
      const session = identities.begin(role, name, Math.min(asked, longestSession));
      return {
        Credentials: {
          AccessKeyId: session.id,
          SecretAccessKey: session.secretAccessKey,
          SessionToken: session.token,
          Expiration: new Date(session.expiresAt),
        },
        AssumedRoleUser: {
          AssumedRoleId: `${uniqueId('AROA', role.name)}:${name}`,
          Arn: identities.sessionArn(role, name),
        },
      };
    },
  };
}

/** What would make a session narrower, or its beginning harder, and is not looked at here. */
const NOT_OFFERED = [
  'Policy',
  'PolicyArns',
  'ExternalId',
  'SerialNumber',
  'TokenCode',
  'SourceIdentity',
] as const;

function userId({ kind, arn, accountId }: Principal): string {
  if (kind === 'root') return accountId;
  const [, user] = /:user\/(.+)$/.exec(arn) ?? [];
  if (user !== undefined) return uniqueId('AIDA', user);
  const [, role = '', session = ''] = /:assumed-role\/([^/]+)\/(.+)$/.exec(arn) ?? [];
  return `${uniqueId('AROA', role)}:${session}`;
}

function invalid(member: string, value: unknown, constraint: string): AwsError {
  return new AwsError(
    'ValidationError',
    `1 validation error detected: Value '${String(value)}' at '${member}' failed to satisfy constraint: ${constraint}`,
  );
}
