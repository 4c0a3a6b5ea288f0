import { isError } from '../../activities/failures';
import { withoutSecrets } from '../../activities/failures';

/** A fact of an answer that Lifeboat relies on, without what differs from account to account (ids, times, addresses). */
export type Fact = string | number | boolean | null | Fact[];

/** The shape of what a service answered: what can be compared between two accounts. */
export interface Answer {
  /** Paths of the fields that were there, such as `Blocks[].BlockToken`; none of a refusal. */
  fields?: string[];
  facts?: Record<string, Fact>;
  error?: AnsweredError;
}

export interface AnsweredError {
  code: string;
  status?: number;
  /** `Reason` of the EBS direct APIs. */
  reason?: string;
  /** The message, without ids. */
  words: string;
}

/** Where AWS answered otherwise than the sandbox does. */
export interface Difference {
  /** Id of the question. */
  question: string;
  /** What of the answer. */
  about: string;
  sandbox: string;
  aws: string;
  /** Nothing in Lifeboat goes by the words of a message; all else it may go by. */
  wordsOnly: boolean;
}

/** What a call that worked answered. */
export function answerOf(output: object, facts: Record<string, Fact> = {}): Answer {
  const fields = new Set<string>();
  collectFields('', output, fields);
  return { fields: [...fields].sort(), ...(Object.keys(facts).length === 0 ? {} : { facts }) };
}

/** Whether an error is of a call to AWS that nobody has answered. */
export const isUnanswered = (error: unknown): boolean =>
  typeof error === 'object' && error !== null && '$metadata' in error && refusalOf(error) === undefined;

/** What a call that was refused answered. @returns undefined where nobody answered at all */
export function refusalOf(error: unknown): Answer | undefined {
  if (!isError(error)) return undefined;
  const { $metadata, Reason } = error as { $metadata?: { httpStatusCode?: number }; Reason?: unknown };
  const status = $metadata?.httpStatusCode;
  // The SDK puts metadata on errors of the network, too, without a status.
  if (status === undefined) return undefined;
  return {
    error: {
      code: error.name,
      status,
      ...(typeof Reason === 'string' ? { reason: Reason } : {}),
      words: withoutIds(withoutSecrets(error.message)),
    },
  };
}

/** A message as it is in every account: ids, account numbers and quoted names are left out. */
function withoutIds(message: string): string {
  return message
    .replace(/\b(snap|vol|ami|i|subnet|sg|vpc)-[0-9a-z]+/g, '$1-…')
    .replace(/\bc-[0-9a-f]{12}\b/g, 'c-…')
    .replace(/\b\d{12}\b/g, '…')
    .replace(/(_lifeboat-aws-check)\.[\w.-]+/g, '$1.…');
}

function collectFields(path: string, value: unknown, fields: Set<string>): void {
  if (value === undefined || value === null) return;
  if (path !== '') fields.add(path);
  if (Array.isArray(value)) for (const item of value) collectFields(`${path}[]`, item, fields);
  else if (isPlain(value))
    for (const [name, member] of Object.entries(value))
      if (name !== '$metadata') collectFields(path === '' ? name : `${path}.${name}`, member, fields);
}

/** Not dates, bytes or streams, whose members are no fields of an answer. */
const isPlain = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' &&
  value !== null &&
  (Object.getPrototypeOf(value) === null || Object.prototype.toString.call(value) === '[object Object]') &&
  !('transformToByteArray' in value) &&
  !('pipe' in value);

/**
 * Where AWS's answer differs from the sandbox's. Fields that AWS has and the sandbox lacks are none: the sandbox leaves out much of
 * what Lifeboat does not read.
 */
export function differences(question: string, sandbox: Answer, aws: Answer): Difference[] {
  const found: Difference[] = [];
  const differ = (about: string, ours: string, theirs: string, wordsOnly = false): void => {
    if (ours !== theirs) found.push({ question, about, sandbox: ours, aws: theirs, wordsOnly });
  };
  if (sandbox.error === undefined || aws.error === undefined) {
    differ('outcome', outcomeOf(sandbox), outcomeOf(aws));
    if (sandbox.error !== aws.error) return found;
  } else {
    differ('error code', sandbox.error.code, aws.error.code);
    differ('HTTP status', String(sandbox.error.status), String(aws.error.status));
    differ('reason', sandbox.error.reason ?? 'none', aws.error.reason ?? 'none');
    differ('words', sandbox.error.words, aws.error.words, true);
  }
  // What ended in another state has other fields.
  differ('states', factText(sandbox.facts?.states), factText(aws.facts?.states));
  if (found.some(({ about }) => about === 'states')) return found;
  const missing = (sandbox.fields ?? []).filter((field) => !(aws.fields ?? []).includes(field));
  for (const field of missing) differ(`field ${field}`, 'there', 'missing');
  for (const name of new Set([...Object.keys(sandbox.facts ?? {}), ...Object.keys(aws.facts ?? {})]))
    differ(name, factText(sandbox.facts?.[name]), factText(aws.facts?.[name]));
  return found;
}

const outcomeOf = ({ error }: Answer): string =>
  error === undefined ? 'done' : `refused: ${errorText(error)}`;

/** `ValidationException (INVALID_BLOCK)`. */
export const errorText = ({ code, reason }: AnsweredError): string =>
  reason === undefined ? code : `${code} (${reason})`;

function factText(fact: Fact | undefined): string {
  if (fact === undefined) return 'nothing';
  return Array.isArray(fact) ? (fact.length === 0 ? 'none' : fact.map(factText).join(', ')) : String(fact);
}
