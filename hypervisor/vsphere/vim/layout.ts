import { METHODS, TYPES, type Methods } from './schema';

/** A field of a type, or a parameter of a method. */
export interface Field {
  name: string;
  /** Name of a type of the schema, of XML Schema's, or `&` and that of a managed object. */
  type: string;
  list: boolean;
  optional: boolean;
}

export type MethodName = keyof Methods;

/** The schema's notation for fields, as {@link TYPES} has it. */
function parseFields(text: string): Field[] {
  if (text === '') return [];
  return text.split(', ').map((one) => {
    const [name = '', rest = ''] = one.split(' ');
    const type = rest.replace(/[[\]?]+$/, '');
    return { name, type, list: rest.includes('[]'), optional: rest.endsWith('?') };
  });
}

const layouts = new Map<string, ReadonlyMap<string, Field>>();

export const isKnownType = (type: string): boolean => Object.hasOwn(TYPES, type);

/** The fields of a type in the order that the schema demands, those of its base first; of a type that is not known, none. */
export function fieldsOf(type: string): ReadonlyMap<string, Field> {
  const known = layouts.get(type);
  if (known !== undefined) return known;
  // Names come from answers, too: what is not known is not remembered either, or a server could fill the memory.
  if (!isKnownType(type)) return new Map();
  const [base, own] = TYPES[type] as readonly [string | null, string];
  const layout = new Map(base === null ? [] : fieldsOf(base));
  for (const field of parseFields(own)) layout.set(field.name, field);
  layouts.set(type, layout);
  return layout;
}

/** Whether a type is another one, or is derived from it. */
export function isA(type: string | undefined, base: string): boolean {
  let one: string | null | undefined = type;
  while (one !== undefined && one !== null) {
    if (one === base) return true;
    one = isKnownType(one) ? TYPES[one]?.[0] : undefined;
  }
  return false;
}

export interface MethodLayout {
  params: Field[];
  /** Undefined where nothing is answered. */
  result: { type: string; list: boolean } | undefined;
}

const methods = new Map<MethodName, MethodLayout>();

export function methodLayout(method: MethodName): MethodLayout {
  let layout = methods.get(method);
  if (layout === undefined) {
    const { params, result } = METHODS[method];
    layout = {
      params: parseFields(params),
      result: result === '' ? undefined : { type: result.replace('[]', ''), list: result.endsWith('[]') },
    };
    methods.set(method, layout);
  }
  return layout;
}
