import { isNativeError } from 'node:util/types';
import { CompleteAsyncError } from '@temporalio/activity';
import { ApplicationFailure, TemporalFailure } from '@temporalio/common';
import { withoutSecrets as withoutKnownSecrets } from '../host/secrets';
import { type FailureRule, ruleFor } from './failure-rules';

/** What an AWS or system error says of itself. Errors are anything at all, so everything is optional. */
interface ErrorFacts {
  message: string;
  /** AWS error code, Node's `code`, or the error's name. */
  code?: string;
  httpStatus?: number;
  requestId?: string;
}

/** IAM actions by the error that they ended in; kept aside so that errors stay as the SDK made them. */
const actions = new WeakMap<object, string>();

/** Notes which IAM action (such as `ec2:RunInstances`) an error came from. The first note counts. */
export function nameActionOf(error: unknown, action: string): void {
  if (typeof error === 'object' && error !== null && !actions.has(error)) actions.set(error, action);
}

/**
 * The one place where an error becomes what a run fails with, or tries again after.
 * @param step what was being done, to follow "Could not", such as `create the volumes of db`
 * @param addition a sentence for the end of what an error of our own says, which does not know the step
 */
export function toFailure(error: unknown, step: string, addition = ''): ApplicationFailure {
  if (error instanceof ApplicationFailure) return cleaned(error);
  const facts = factsOf(error);
  // What nobody foresaw is tried again: it may be a passing trouble, and a retry policy ends it if it is not.
  const rule: FailureRule = ruleFor(facts.code, facts.httpStatus) ?? { type: 'Unexpected', retryable: true };
  const { type, retryable, delaySeconds } = rule;
  const action = actionOf(error, facts);

  const failure = ApplicationFailure.create({
    message: rule.whole
      ? withoutSecrets(facts.message) + addition
      : sentence(step, facts, { advice: rule.advice, action: type === 'NotPermitted' ? action : undefined }),
    type,
    nonRetryable: !retryable,
    nextRetryDelay: retryable && delaySeconds !== undefined ? spread(delaySeconds) : undefined,
    details: [{ code: facts.code, action, httpStatus: facts.httpStatus, requestId: facts.requestId }],
  });
  // The cause itself stays out: Temporal would store its message as it is.
  if (isError(error)) failure.stack = `${failure.name}: ${failure.message}\n${framesOf(error)}`;
  return failure;
}

/** Whether an error has one of these AWS or system codes. */
export function hasCode(error: unknown, ...codes: string[]): boolean {
  const { code } = factsOf(error);
  return code !== undefined && codes.includes(code);
}

/**
 * Seconds after which a call may be made again that AWS refused because calls come too fast; a little more each time, at
 * random. @returns undefined for any other error
 */
export function throttledSeconds(error: unknown): number | undefined {
  const { code, httpStatus } = factsOf(error);
  const rule = ruleFor(code, httpStatus);
  return rule?.type !== 'Throttled' || rule.delaySeconds === undefined
    ? undefined
    : spread(rule.delaySeconds) / 1000;
}

/** Wraps activities so that whatever they throw is a Temporal failure; steps are told by the activities' names. */
export function withFailures<Activities extends object>(activities: Activities): Activities {
  const wrapped = Object.entries(activities).map(([name, activity]) => {
    if (typeof activity !== 'function') throw new TypeError(`${name} is no activity.`);
    return [
      name,
      async (...input: unknown[]): Promise<unknown> => {
        try {
          return (await Reflect.apply(activity, activities, input)) as unknown;
        } catch (error) {
          if (isForTemporal(error)) throw cleaned(error);
          throw toFailure(error, `do "${words(name)}"${subject(input[0])}`, otherName(input[0]));
        }
      },
    ] as const;
  });
  return Object.fromEntries(wrapped) as Activities;
}

/** Failures in Temporal's own terms, cancellation and completion elsewhere among them. */
function isForTemporal(error: unknown): boolean {
  return (
    error instanceof TemporalFailure ||
    error instanceof CompleteAsyncError ||
    (isError(error) && error.name === 'AbortError')
  );
}

/** Errors of another realm (a VM context, such as a test runner's) are no instances of this one's class. */
export function isError(error: unknown): error is Error {
  return error instanceof Error || isNativeError(error);
}

function factsOf(error: unknown): ErrorFacts {
  if (!isError(error)) return { message: String(error) };
  const { code: systemCode, $metadata: metadata } = error as {
    code?: unknown;
    $metadata?: { httpStatusCode?: number; requestId?: string };
  };
  // A connection tried over several addresses fails with all their errors at once, and no message.
  const inner: unknown = error instanceof AggregateError ? error.errors[0] : undefined;
  const message = error.message || (isError(inner) ? inner.message : error.name);
  return {
    message,
    code: typeof systemCode === 'string' ? systemCode : error.name === 'Error' ? undefined : error.name,
    // The SDK puts metadata on network errors, too, without a status.
    httpStatus: metadata?.httpStatusCode,
    requestId: metadata?.requestId,
  };
}

function actionOf(error: unknown, facts: ErrorFacts): string | undefined {
  const told = /not authorized to perform:? ([a-z0-9-]{1,40}:[A-Za-z]{1,80})/.exec(facts.message)?.[1];
  return told ?? (typeof error === 'object' && error !== null ? actions.get(error) : undefined);
}

function sentence(step: string, facts: ErrorFacts, extra: { advice?: string; action?: string }): string {
  const { code } = facts;
  // Names of error classes tell people nothing; codes of AWS and of the system can be looked up.
  const telling = code !== undefined && !code.endsWith('Error') && !facts.message.includes(code);
  const named = telling ? ` (${code})` : '';
  const reason = withoutSecrets(facts.message).replace(/[\s.]+$/, '');
  const action = extra.action === undefined ? '' : ` The action is ${extra.action}.`;
  const advice = extra.advice === undefined ? '' : ` ${extra.advice}`;
  return `Could not ${step}: ${reason}${named}.${action}${advice}`;
}

/** Longest text of an error that is kept; an answer that is a web page says no more in its rest. */
const MAXIMUM_TEXT = 2000;

/** A text for histories: what this process must not tell cut out (host/secrets.ts), and no longer than one that says something. */
export function withoutSecrets(text: string): string {
  return withoutKnownSecrets(text).slice(0, MAXIMUM_TEXT);
}

/**
 * Failures in Temporal's own terms get through as they are, but for what they quote: messages, stacks, details and causes are stored with
 * the run. Also for those that were made where nobody thought of it.
 */
export function cleaned<Failure>(failure: Failure): Failure {
  for (let at: unknown = failure; isError(at); at = at.cause) {
    for (const part of ['message', 'stack'] as const) {
      const text = at[part] ?? '';
      const clean = withoutKnownSecrets(text);
      if (clean !== text) at[part] = clean;
    }
    const { details } = at as { details?: unknown };
    if (Array.isArray(details)) Object.assign(at, { details: cleanedValue(details) });
  }
  return failure;
}

/** What is stored as JSON, with every text of it cleaned; bytes are none. */
function cleanedValue(value: unknown): unknown {
  if (typeof value === 'string') return withoutKnownSecrets(value);
  if (Array.isArray(value)) return value.map(cleanedValue);
  if (Object.prototype.toString.call(value) !== '[object Object]') return value;
  return Object.fromEntries(Object.entries(value as object).map(([name, of]) => [name, cleanedValue(of)]));
}

/** Where an error came from, without its message, which the stack begins with. */
function framesOf(error: Error): string {
  const lines = (error.stack ?? '').split('\n');
  return withoutSecrets(lines.filter((line) => /^ {4}at /.test(line)).join('\n'));
}

/** Milliseconds for a delay of `seconds`, up to half as much more, so that those who wait do not return at once. */
function spread(seconds: number): number {
  return Math.round(seconds * 1000 * (1 + Math.random() / 2));
}

/** `createVolumes` as `create volumes`. */
function words(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`);
}

/** ` of db`, the plan's name, with what the primary site calls it where that is another. */
function subject(input: unknown): string {
  const { vm, primaryVm } = namesIn(input);
  if (vm === undefined) return '';
  return primaryVm === undefined
    ? ` of ${vm}`
    : ` of ${vm} (${JSON.stringify(primaryVm)} at the primary site)`;
}

/** Errors of a hypervisor speak of its own name for a VM. */
function otherName(input: unknown): string {
  const { vm, primaryVm } = namesIn(input);
  return vm === undefined || primaryVm === undefined
    ? ''
    : ` In the plan, ${JSON.stringify(primaryVm)} is ${vm}.`;
}

function namesIn(input: unknown): { vm?: string; primaryVm?: string } {
  if (typeof input !== 'object' || input === null) return {};
  const { vm, primaryVm } = input as { vm?: unknown; primaryVm?: unknown };
  return {
    ...(typeof vm === 'string' ? { vm } : {}),
    ...(typeof primaryVm === 'string' && primaryVm !== vm ? { primaryVm } : {}),
  };
}
