import { isMap, isScalar, isSeq, parseDocument, type Node } from 'yaml';

/**
 * A CloudFormation template with its functions resolved, as far as that can be done without AWS: what a stack with these parameters
 * would be asked to hold. An attribute of a resource is `{Resource.Attribute}`, the resource itself `{Resource}`, unless told otherwise.
 */

export type Json = string | number | boolean | null | Json[] | { [key: string]: Json };
type Mapping = Record<string, Json>;

export interface Template {
  Parameters: Record<string, { Type: string; Default?: Json; AllowedPattern?: string; Description: string }>;
  Conditions: Mapping;
  Resources: Record<string, Mapping>;
  Outputs: Record<string, Mapping>;
}

export interface Resource {
  Type: string;
  Properties: Mapping;
  DeletionPolicy?: string;
  UpdateReplacePolicy?: string;
}

export interface Stack {
  resources: Record<string, Resource>;
  outputs: Record<string, string>;
}

/** Stands for what has no value here: AWS::NoValue. */
const NOTHING = Symbol('AWS::NoValue');
type Value = Json | typeof NOTHING;

/** A template's text as JSON, `!Sub` and its like in their long forms. @throws the YAML library's error */
export function readTemplate(text: string): Template {
  const document = parseDocument(text, { logLevel: 'silent' });
  if (document.errors[0] !== undefined) throw document.errors[0];
  return plain(document.contents as Node) as unknown as Template;
}

function plain(node: Node | null): Json {
  const tag = node?.tag;
  const value: Json = isMap(node)
    ? Object.fromEntries(
        node.items.map(({ key, value: inner }) => [
          String((key as { value: unknown }).value),
          plain(inner as Node | null),
        ]),
      )
    : isSeq(node)
      ? node.items.map((item) => plain(item as Node))
      : isScalar(node)
        ? (node.value as Json)
        : null;
  if (tag === undefined || !tag.startsWith('!')) return value;
  const name = tag.slice(1);
  if (name === 'GetAtt') return { 'Fn::GetAtt': String(value).split('.') };
  return { [name === 'Ref' || name === 'Condition' ? name : `Fn::${name}`]: value };
}

/**
 * @param given values of parameters; a list is an array
 * @param known what to put for `Resource` and `Resource.Attribute`, and for pseudo parameters
 * @throws Error for a parameter that is missing or does not match, for what is not in the template, and for a function that is not known here
 */
export function resolveTemplate(
  template: Template,
  given: Record<string, Json>,
  known: Record<string, Json> = {},
): Stack {
  const resolver = new Resolver(template, parameters(template, given), known);
  const there = (item: Mapping): boolean =>
    item.Condition === undefined || resolver.condition(item.Condition as string);
  const resolved = <T>(items: Record<string, Mapping>): Record<string, T> =>
    Object.fromEntries(
      Object.entries(items)
        .filter(([, item]) => there(item))
        .map(([name, item]) => [name, resolver.value(item) as T]),
    );
  return {
    resources: resolved<Resource>(template.Resources),
    outputs: Object.fromEntries(
      Object.entries(resolved<{ Value: Json }>(template.Outputs)).map(([name, { Value }]) => [
        name,
        String(Value),
      ]),
    ),
  };
}

function parameters(template: Template, given: Record<string, Json>): Record<string, Json> {
  for (const name of Object.keys(given))
    if (!(name in template.Parameters)) throw new Error(`The template has no parameter ${name}.`);
  return Object.fromEntries(
    Object.entries(template.Parameters).map(([name, { Type, Default, AllowedPattern }]) => {
      const value = given[name] ?? Default;
      if (value === undefined) throw new Error(`The parameter ${name} has no value.`);
      const isList = Type.startsWith('List<') || Type === 'CommaDelimitedList';
      const items = isList ? (Array.isArray(value) ? value : String(value).split(',')) : [value];
      for (const item of items)
        if (AllowedPattern !== undefined && !new RegExp(AllowedPattern).test(String(item)))
          throw new Error(`${name} must match ${AllowedPattern}, and is ${String(item)}.`);
      return [name, isList ? items : String(value)];
    }),
  );
}

class Resolver {
  constructor(
    private readonly template: Template,
    private readonly parameters: Record<string, Json>,
    private readonly known: Record<string, Json>,
  ) {}

  condition(name: string): boolean {
    const said = this.template.Conditions[name];
    if (said === undefined) throw new Error(`There is no condition ${name}.`);
    return this.truth(said);
  }

  value(json: Json): Value {
    if (Array.isArray(json)) return json.map((item) => this.value(item)).filter((item) => item !== NOTHING);
    if (json === null || typeof json !== 'object') return json;
    const [name = '', ...others] = Object.keys(json);
    if (others.length === 0 && (name === 'Ref' || name.startsWith('Fn::')))
      return this.apply(name, json[name] as Json);
    return Object.fromEntries(
      Object.entries(json)
        .filter(([key]) => key !== 'Condition' || typeof json[key] === 'object')
        .map(([key, inner]) => [key, this.value(inner)] as const)
        .filter((pair): pair is readonly [string, Json] => pair[1] !== NOTHING),
    );
  }

  private apply(name: string, argument: Json): Value {
    const list = (): Json[] => this.value(argument) as Json[];
    switch (name) {
      case 'Ref':
        return this.reference(argument as string);
      case 'Fn::GetAtt':
        return this.reference((argument as string[]).join('.'));
      case 'Fn::Sub':
        return (argument as string).replace(/\$\{([^}]+)\}/g, (_all, of: string) =>
          String(this.reference(of)),
        );
      case 'Fn::Base64':
        return this.value(argument);
      case 'Fn::Join': {
        const [delimiter, items] = list() as [string, string[]];
        return items.join(delimiter);
      }
      case 'Fn::Split': {
        const [delimiter, text] = list() as [string, string];
        return text.split(delimiter);
      }
      case 'Fn::If': {
        const [condition, yes, no] = argument as [string, Json, Json];
        return this.value(this.condition(condition) ? yes : no);
      }
      default:
        throw new Error(`${name} is not known here.`);
    }
  }

  private truth(json: Json): boolean {
    const { 'Fn::Not': not, 'Fn::Equals': equals } = json as { 'Fn::Not'?: [Json]; 'Fn::Equals'?: Json };
    if (not !== undefined) return !this.truth(not[0]);
    if (equals === undefined) throw new Error(`This condition is not known here: ${JSON.stringify(json)}`);
    const [one, other] = this.value(equals) as [Json, Json];
    return String(one) === String(other);
  }

  private reference(name: string): Value {
    if (name === 'AWS::NoValue') return NOTHING;
    const value = this.known[name] ?? this.parameters[name];
    if (value !== undefined) return value;
    if (!((name.split('.')[0] ?? '') in this.template.Resources))
      throw new Error(`The template has no ${name}.`);
    return `{${name}}`;
  }
}
