import { type PolicyDocument, type PolicyStatement } from '../policy-document';
import { type CompiledStatement, compiledPolicy } from './compiled-policy';
import { type ContextValues, RequestContext } from './request-context';

/** One action on one resource: what policies are asked about. A call of an API may be several of them. */
export interface Authorization {
  /** `ec2:RunInstances`. */
  action: string;
  /** ARN, or `*` where the action is about no resource. */
  resource: string;
  context: ContextValues;
}

export type Decision =
  | { effect: 'allowed' | 'explicit-deny'; by: PolicyStatement }
  /** Nothing allows it. */
  | { effect: 'implicit-deny' };

/**
 * What identity-based policies say: a statement that denies outdoes all that allow, and what none allows is denied ("Policy evaluation
 * logic", IAM User Guide). There are no other kinds of policies here.
 * @throws PolicyError for a policy that cannot be read
 */
export function evaluate(
  policies: readonly PolicyDocument[],
  { action, resource, context }: Authorization,
): Decision {
  const request = new RequestContext(context);
  const applies = ({ appliesToResource, conditions }: CompiledStatement): boolean =>
    appliesToResource(resource, request) && conditions.every((holds) => holds(request));
  let allowing: PolicyStatement | undefined;
  for (const policy of policies)
    for (const compiled of compiledPolicy(policy).about(action)) {
      if (compiled.allow && allowing !== undefined) continue;
      if (!applies(compiled)) continue;
      if (!compiled.allow) return { effect: 'explicit-deny', by: compiled.statement };
      allowing = compiled.statement;
    }
  return allowing === undefined ? { effect: 'implicit-deny' } : { effect: 'allowed', by: allowing };
}

/** Whether a policy allows the action on anything at all, whatever the conditions. */
export function allowsSomewhere(policies: readonly PolicyDocument[], action: string): boolean {
  return policies.some((policy) =>
    compiledPolicy(policy)
      .about(action)
      .some(({ allow }) => allow),
  );
}
