import { type Call } from '../wire/endpoint';
import { type AskedRecord } from './asked-log';
import { CALLS } from './calls/calls';
import { type AccountView, type Asked } from './calls/mapping';
import { allowsSomewhere, type Decision, evaluate } from './evaluation/evaluate';
import { type PolicyDocument } from './policy-document';
import { type Principal, roleArnOf } from './principal';
import { refusal } from './refusals';

/**
 * Judges calls by the identity-based policies of who makes them: everything that a call asks for has to be allowed.
 * @param record is told of everything that is asked, also by those who may do everything
 * @returns for the endpoint: throws the service's refusal
 */
export function authorizing(view: AccountView, record?: (asked: AskedRecord) => void): (call: Call) => void {
  return (call) => {
    const { principal, service, operation } = call;
    if (principal.policies === undefined && record === undefined) return;
    const mapping = CALLS[service]?.[operation];
    // The endpoint does not start with an operation that is not there: nothing passes by this.
    if (mapping === undefined)
      throw new Error(`What ${service}:${operation} asks of policies is not written down.`);
    for (const asked of mapping(call.input as never, view)) {
      const { action, resource } = asked;
      const context = {
        ...ofPrincipal(principal),
        'aws:RequestedRegion': view.account.config.region,
        ...asked.context,
      };
      record?.({ principal: principal.arn, operation: `${service}:${operation}`, ...asked });
      if (principal.policies === undefined) continue;
      const decision = judge(principal.policies, { ...asked, context });
      if (decision.effect !== 'allowed')
        throw refusal({
          service,
          principalArn: principal.arn,
          asked: { action, resource, context },
          decision,
        });
    }
  };
}

/** Whether somebody's own policies let them assume a role. */
export const mayAssume = (principal: Principal, roleArn: string): boolean =>
  principal.policies === undefined ||
  judge(principal.policies, { action: 'sts:AssumeRole', resource: roleArn, context: ofPrincipal(principal) })
    .effect === 'allowed';

/** What policies say to something asked. */
function judge(policies: readonly PolicyDocument[], asked: Asked): Decision {
  const decision = evaluate(policies, asked);
  const gone = asked.absent === true && decision.effect === 'implicit-deny';
  // The handler says that there is no such thing.
  if (gone && allowsSomewhere(policies, asked.action))
    return {
      effect: 'allowed',
      by: { Sid: 'NothingThere', Effect: 'Allow', Action: asked.action, Resource: '*' },
    };
  return decision;
}

/** Global condition keys; those of sessions and networks are not known here. */
const ofPrincipal = ({ arn, accountId }: Principal): Asked['context'] => ({
  'aws:PrincipalArn': roleArnOf(arn) ?? arn,
  'aws:PrincipalAccount': accountId,
});
