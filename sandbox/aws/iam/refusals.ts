import { deflateRawSync } from 'node:zlib';
import { AwsError } from '../wire/errors';
import { type Authorization, type Decision } from './evaluation/evaluate';

/** What is refused to whom. */
export interface Refused {
  /** Signing name of the service that was called. */
  service: string;
  principalArn: string;
  asked: Authorization;
  decision: Exclude<Decision, { effect: 'allowed' }>;
}

/** The error by which a service refuses what policies do not allow, in AWS's words ("Access denied error messages", IAM User Guide). */
export function refusal({ service, principalArn, asked, decision }: Refused): AwsError {
  const { action, resource } = asked;
  const why =
    decision.effect === 'explicit-deny'
      ? 'with an explicit deny in an identity-based policy'
      : `because no identity-based policy allows the ${action} action`;
  const on = (quoted: string): string =>
    resource === '*' && service !== 's3' ? '' : ` on resource: ${quoted}`;
  const text = `User: ${principalArn} is not authorized to perform: ${action}${on(resource)} ${why}`;
  switch (service) {
    case 'ec2':
      return new AwsError(
        'UnauthorizedOperation',
        `You are not authorized to perform this operation. ${text}. Encoded authorization failure message: ${encoded(asked, decision)}`,
        403,
      );
    case 'ebs':
      // In EBS direct's own list of reasons there is none for what a policy does not allow.
      return new AwsError('AccessDeniedException', text, 403);
    case 's3':
      return new AwsError(
        'AccessDenied',
        `User: ${principalArn} is not authorized to perform: ${action}${on(`"${resource}"`)} ${why}`,
        403,
      );
    case 'sns':
      return new AwsError('AuthorizationError', text.replace('perform: sns:', 'perform: SNS:'), 403);
    case 'kms':
    case 'servicequotas':
      return new AwsError('AccessDeniedException', text, 400);
    default:
      return new AwsError('AccessDenied', text, 403);
  }
}

/** EC2 tells the rest to those only who may decode it (sts:DecodeAuthorizationMessage); here it is packed, and no secret. */
function encoded({ action, resource, context }: Authorization, { effect }: Decision): string {
  const details = {
    allowed: false,
    explicitDeny: effect === 'explicit-deny',
    context: { action, resource, context },
  };
  return deflateRawSync(JSON.stringify(details)).toString('base64url');
}
