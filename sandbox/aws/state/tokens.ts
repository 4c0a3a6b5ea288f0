import { createHash } from 'node:crypto';
import { AwsError } from '../wire/errors';
import { type Collection } from './collection';

/** The client token that a resource was created with, kept in the resource itself, and so as lasting as it. */
export interface TokenMark {
  token: string;
  /** Digest of the request's other parameters. */
  parameters: string;
}

export interface Tokened {
  id: string;
  tokenMark?: TokenMark;
}

/** The mark of a request; undefined where it has no token. */
export function tokenMark(
  operation: string,
  token: string | undefined,
  input: object,
): TokenMark | undefined {
  if (token === undefined || token === '') return undefined;
  if (token.length > 64)
    throw new AwsError('InvalidParameterValue', 'The client token is longer than 64 characters.');
  const { ClientToken: _token, DryRun: _dryRun, ...parameters } = input as Record<string, unknown>;
  return {
    token,
    parameters: createHash('sha256')
      .update(operation + canonical(parameters))
      .digest('hex'),
  };
}

/**
 * The resources that an earlier request with this token made: none the first time.
 * @throws AwsError (`mismatchCode`) where that request had other parameters
 */
export function madeBefore<T extends Tokened>(
  collection: Collection<T>,
  mark: TokenMark | undefined,
  mismatch: () => AwsError = idempotentParameterMismatch,
): T[] {
  if (mark === undefined) return [];
  const made = collection.all().filter((item) => item.tokenMark?.token === mark.token);
  if (made.some((item) => item.tokenMark?.parameters !== mark.parameters)) throw mismatch();
  return made;
}

function idempotentParameterMismatch(): AwsError {
  return new AwsError(
    'IdempotentParameterMismatch',
    'Client token already used before, but with different request parameters.',
  );
}

/** JSON with sorted keys: equal for equal requests. */
function canonical(value: unknown): string {
  if (value instanceof Date) return JSON.stringify(value);
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value) ?? 'null';
  const entries = Object.entries(value as Record<string, unknown>)
    .filter(([, item]) => item !== undefined)
    .sort(([a], [b]) => (a < b ? -1 : 1));
  return `{${entries.map(([key, item]) => `${JSON.stringify(key)}:${canonical(item)}`).join(',')}}`;
}
