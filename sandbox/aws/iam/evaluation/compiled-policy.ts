import { type OneOrMore, type PolicyDocument, type PolicyStatement } from '../policy-document';
import { type Condition, readConditions } from './conditions';
import { listOf } from './elements';
import { actionMatcher, arnMatcher, type Matcher } from './patterns';
import { PolicyError } from './policy-error';

/** A statement, read once. */
export interface CompiledStatement {
  statement: PolicyStatement;
  allow: boolean;
  appliesToAction: (action: string) => boolean;
  appliesToResource: Matcher;
  conditions: Condition[];
}

const DOCUMENT_ELEMENTS = new Set(['Version', 'Id', 'Statement']);
const STATEMENT_ELEMENTS = new Set([
  'Sid',
  'Effect',
  'Action',
  'NotAction',
  'Resource',
  'NotResource',
  'Condition',
]);

const read = new WeakMap<PolicyDocument, CompiledPolicy>();

/** A policy's statements. Each document is read once: it must not change afterwards. @throws PolicyError */
export function compiledPolicy(policy: PolicyDocument): CompiledPolicy {
  let compiled = read.get(policy);
  if (compiled === undefined) read.set(policy, (compiled = new CompiledPolicy(policy)));
  return compiled;
}

export class CompiledPolicy {
  private readonly statements: CompiledStatement[];
  private readonly byAction = new Map<string, CompiledStatement[]>();

  constructor(policy: PolicyDocument) {
    const unknown = Object.keys(policy).find((element) => !DOCUMENT_ELEMENTS.has(element));
    if (unknown !== undefined) throw new PolicyError(`A policy has no element ${unknown}.`);
    // Policy variables are plain text in the older version: nobody writes that on purpose.
    if (policy.Version !== '2012-10-17') throw new PolicyError('The policy has to have Version 2012-10-17.');
    this.statements = listOf(policy.Statement, 'Statement').map(compileStatement);
  }

  /** Statements that are about an action, looked up for each request. */
  about(action: string): readonly CompiledStatement[] {
    let found = this.byAction.get(action);
    if (found === undefined) {
      found = this.statements.filter(({ appliesToAction }) => appliesToAction(action));
      this.byAction.set(action, found);
    }
    return found;
  }
}

function compileStatement(statement: PolicyStatement): CompiledStatement {
  const unknown = Object.keys(statement).find((element) => !STATEMENT_ELEMENTS.has(element));
  if (unknown !== undefined)
    throw new PolicyError(`A statement of an identity-based policy has no element ${unknown}.`);
  const { Effect, Action, NotAction, Resource, NotResource, Condition } = statement;
  if (Effect !== 'Allow' && Effect !== 'Deny')
    throw new PolicyError(`Effect is "Allow" or "Deny", and not "${String(Effect)}".`);
  const [actions, byAction] = either(statement, 'Action', Action, NotAction);
  const [resources, byResource] = either(statement, 'Resource', Resource, NotResource);
  const actionMatchers = actions.map(actionMatcher);
  const resourceMatchers = resources.map(arnMatcher);
  return {
    statement,
    allow: Effect === 'Allow',
    appliesToAction: (action) => actionMatchers.some((matches) => matches(action)) === byAction,
    appliesToResource: (arn, context) =>
      resourceMatchers.some((matches) => matches(arn, context)) === byResource,
    conditions: readConditions(Condition),
  };
}

/** The values of an element or of its opposite, and whether they are the element's own. */
function either(
  { Sid = 'without Sid' }: PolicyStatement,
  name: string,
  values: OneOrMore<string> | undefined,
  not: OneOrMore<string> | undefined,
): [readonly string[], boolean] {
  if ((values === undefined) === (not === undefined))
    throw new PolicyError(`Statement ${Sid} has to have either ${name} or Not${name}.`);
  return values === undefined ? [listOf(not, `Not${name}`), false] : [listOf(values, name), true];
}
