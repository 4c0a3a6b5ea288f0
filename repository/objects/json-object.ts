import { z } from 'zod';

/** An object of the repository that is not what Lifeboat writes there: damaged, or written by somebody else. */
export class DamagedObjectError extends Error {
  constructor(
    readonly key: string,
    readonly reason: string,
  ) {
    super(`The object "${key}" of the backup repository cannot be trusted: ${reason}`);
    this.name = 'DamagedObjectError';
  }
}

/**
 * Parses an object of the repository. Whoever can write to the bucket can write anything there, so nothing of it is
 * used before the schema has seen it.
 * @throws DamagedObjectError
 */
export function parseJsonObject<T>(key: string, body: Buffer, schema: z.ZodType<T>): T {
  let value: unknown;
  try {
    value = JSON.parse(body.toString('utf8'));
  } catch {
    throw new DamagedObjectError(key, 'it is no JSON.');
  }
  const result = schema.safeParse(value);
  if (!result.success) throw new DamagedObjectError(key, z.prettifyError(result.error));
  return result.data;
}

/** JSON of a value with the keys of every object sorted, so that equal values have equal bytes. */
export function canonicalJson(value: unknown): string {
  return JSON.stringify(value, (_key, part: unknown) =>
    part !== null && typeof part === 'object' && !Array.isArray(part)
      ? Object.fromEntries(Object.entries(part).sort(([a], [b]) => (a < b ? -1 : 1)))
      : part,
  );
}
