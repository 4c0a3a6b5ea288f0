import fc from 'fast-check';

/**
 * How many hostile inputs each property gets: few in `npm test`, as many as wanted by hand
 * (`LIFEBOAT_HOSTILE_INPUTS=10000 npx jest test/hostile`). A failure prints its seed and the smallest input that it
 * found; `LIFEBOAT_HOSTILE_SEED` repeats it.
 */
const INPUTS = Number(process.env.LIFEBOAT_HOSTILE_INPUTS ?? 200);
const SEED = process.env.LIFEBOAT_HOSTILE_SEED;

/** @param share of the inputs, for subjects of which one takes long */
export function inputs(share = 1): fc.Parameters<unknown> {
  return {
    numRuns: Math.max(1, Math.round(INPUTS * share)),
    ...(SEED === undefined ? {} : { seed: Number(SEED) }),
  };
}

/** Time for a property, in milliseconds: a tenth of a second an input, and a minute. */
export const inputsMs = (share = 1): number => 60_000 + INPUTS * share * 100;

/** Text that is none of what a person would write. */
export const oddText = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 40 }),
  fc.constantFrom(
    '',
    '__proto__',
    'constructor',
    '../../etc/passwd',
    '/etc/shadow',
    'a\u0000b',
    '\u202efdp.exe',
    'x'.repeat(5000),
    '${jndi:ldap://x}',
    '-rf',
    'NaN',
    '1e999',
    '9007199254740993',
  ),
);

/** Any value that JSON has, odd ones more often. */
export const oddValue = fc.oneof(
  oddText,
  fc.constantFrom<unknown>(null, true, -1, 0, 1.5, 2 ** 53, 1e308, [], {}, [[[[]]]], { __proto__: 1 }),
  fc.jsonValue({ maxDepth: 3 }),
);

/** Bytes as somebody would damage them: cut off, altered, grown, or others altogether. */
export const damage = fc.oneof(
  fc.record({ how: fc.constant('cut' as const), at: fc.double({ min: 0, max: 1, noNaN: true }) }),
  fc.record({
    how: fc.constant('alter' as const),
    at: fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
    bytes: fc.uint8Array({ minLength: 1, maxLength: 8 }),
  }),
  fc.record({ how: fc.constant('grow' as const), bytes: fc.uint8Array({ minLength: 1, maxLength: 600 }) }),
  fc.record({ how: fc.constant('replace' as const), bytes: fc.uint8Array({ maxLength: 2000 }) }),
);

export function damaged(bytes: Buffer, how: typeof damage extends fc.Arbitrary<infer D> ? D : never): Buffer {
  switch (how.how) {
    case 'cut':
      return Buffer.from(bytes.subarray(0, Math.floor(bytes.length * how.at)));
    case 'alter': {
      const copy = Buffer.from(bytes);
      Buffer.from(how.bytes).copy(copy, Math.floor(bytes.length * how.at));
      return copy;
    }
    case 'grow':
      return Buffer.concat([bytes, how.bytes]);
    case 'replace':
      return Buffer.from(how.bytes);
  }
}

/**
 * An object with some value in it, at any depth, taken out or exchanged.
 * @param sameShape lists and objects stay what they are, and text is exchanged for text: what a parser with a schema gives
 */
export function withChange(
  value: unknown,
  at: number,
  change: { take: boolean; value: unknown },
  sameShape = false,
): unknown {
  const paths: (string | number)[][] = [];
  const walk = (part: unknown, path: (string | number)[]): void => {
    if (path.length > 0) paths.push(path);
    if (typeof part !== 'object' || part === null || part instanceof Date) return;
    for (const key of Array.isArray(part) ? part.keys() : Object.keys(part))
      walk((part as Record<string | number, unknown>)[key], [...path, key]);
  };
  walk(value, []);
  const path = paths[Math.floor(at * paths.length)];
  if (path === undefined) return value;
  const copy: unknown = structuredClone(value);
  const found = path.reduce<unknown>((part, key) => (part as Record<string | number, unknown>)[key], value);
  const fits = typeof found !== 'object' && typeof found === typeof change.value;
  if (sameShape && !change.take && !fits) return value;
  const last = path.at(-1) as string | number;
  let parent = copy as Record<string | number, unknown>;
  for (const key of path.slice(0, -1)) parent = parent[key] as Record<string | number, unknown>;
  if (!change.take) parent[last] = change.value;
  else if (Array.isArray(parent)) parent.splice(Number(last), 1);
  else delete parent[last];
  return copy;
}

export const change = fc.record({
  at: fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
  change: fc.record({ take: fc.boolean(), value: oddValue }),
});

/** Errors of the language: whoever throws one has not thought of the input. */
export function isUnthought(error: unknown): boolean {
  return (
    error instanceof TypeError ||
    error instanceof RangeError ||
    error instanceof ReferenceError ||
    error instanceof SyntaxError
  );
}

/** Runs, and lets only errors pass that were thought of. @returns the error, if one came */
export async function thoughtOf(work: () => unknown): Promise<Error | undefined> {
  try {
    await work();
    return undefined;
  } catch (error) {
    if (!(error instanceof Error) || isUnthought(error)) throw error;
    if (error.message === '') throw new Error('An error says nothing.', { cause: error });
    return error;
  }
}
