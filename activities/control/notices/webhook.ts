import { createHmac } from 'node:crypto';
import { lookup } from 'node:dns';
import { type LookupFunction } from 'node:net';
import { ApplicationFailure } from '@temporalio/common';
import { Agent, request } from 'undici';
import { withoutSecrets } from '../../../host/secrets';
import { lifeboatVersion } from '../../../host/version';
import { type Notice, type NotifyReceiver } from '../../../plan/notices';
import { isForbiddenAddress, webhookUrlProblem } from '../../../plan/webhook-address';
import { noticeBody } from './message';

/** Seconds until a receiver that has not answered counts as down; the specification says 15 to 30, and people wait for a test. */
const TIMEOUT_SECONDS = 10;
/** Of an answer's body, which nobody looks at; more than that is not waited for. */
const BODY_BYTES = 16 * 1024;
/** By which a receiver says that it wants no more (Standard Webhooks, "Deliverability and reliability"). */
const GONE = 410;

type Webhook = NonNullable<NotifyReceiver['webhook']>;

/**
 * The signature of the Standard Webhooks specification 1.0: HMAC-SHA256 over id, time and body, one for each key.
 * @param at seconds since 1970
 */
export function webhookSignature(keys: readonly Buffer[], id: string, at: number, body: string): string {
  return keys
    .map((key) => `v1,${createHmac('sha256', key).update(`${id}.${at}.${body}`).digest('base64')}`)
    .join(' ');
}

/** A name that leads to a host's metadata service is one that somebody has put there on purpose. */
const guardedLookup: LookupFunction = (hostname, options, done) => {
  lookup(hostname, { ...options, all: true }, (error, addresses) => {
    if (error !== null) return done(error, []);
    const forbidden = addresses.find(({ address }) => isForbiddenAddress(address));
    if (forbidden !== undefined)
      return done(new Error(`${hostname} leads to ${forbidden.address}, where nothing is sent`), []);
    const [first] = addresses;
    if (options.all === true || first === undefined) return done(null, addresses);
    done(null, first.address, first.family);
  });
};

/** One for the process. Nothing is kept open: receivers are asked seldom. */
export const webhookAgent = (): Agent =>
  new Agent({ connect: { lookup: guardedLookup, timeout: TIMEOUT_SECONDS * 1000 }, pipelining: 0 });

/**
 * Calls the address once. Redirects are not followed: what was signed for one host is no other's.
 * @param keys that sign
 * @returns its answer, for people
 * @throws ApplicationFailure NotDelivered, ReceiverGone
 */
export async function callWebhook(
  agent: Agent,
  { url, allowHttp }: Webhook,
  notice: Notice,
  keys: readonly Buffer[],
  now = new Date(),
): Promise<string> {
  const problem = webhookUrlProblem(url, allowHttp === true);
  if (problem !== undefined)
    throw ApplicationFailure.nonRetryable(`The webhook's url ${problem}.`, 'BadRequest');
  const body = noticeBody(notice);
  const at = Math.floor(now.getTime() / 1000);
  const status = await post(agent, url, body, {
    'content-type': 'application/json',
    'user-agent': `lifeboat/${lifeboatVersion()}`,
    'webhook-id': notice.id,
    'webhook-timestamp': String(at),
    'webhook-signature': webhookSignature(keys, notice.id, at, body),
  });
  if (status >= 200 && status < 300) return `HTTP ${status}`;
  if (status === GONE)
    throw ApplicationFailure.nonRetryable(
      'The receiver answers HTTP 410: it wants no more of these. Take it out of the plan.',
      'ReceiverGone',
    );
  const redirect =
    status >= 300 && status < 400 ? '; redirects are not followed, so name the place itself' : '';
  throw notDelivered(`it answers HTTP ${status}${redirect}`);
}

/** @returns the answer's status. What else it says is not read, and so cannot be learnt from here of a host that the plan names. */
async function post(
  dispatcher: Agent,
  url: string,
  body: string,
  headers: Record<string, string>,
): Promise<number> {
  const signal = AbortSignal.timeout(TIMEOUT_SECONDS * 1000);
  try {
    const answer = await request(url, { method: 'POST', dispatcher, headers, body, signal });
    // The status says it all: a body that does not end, or breaks off, changes nothing of it.
    await answer.body.dump({ limit: BODY_BYTES, signal }).catch(() => undefined);
    return answer.statusCode;
  } catch (error) {
    throw notDelivered(signal.aborted ? `it did not answer within ${TIMEOUT_SECONDS} s` : reason(error));
  }
}

/** Of several addresses of a host, each has an error of its own. */
function reason(error: unknown): string {
  if (error instanceof AggregateError) return [...new Set(error.errors.map(reason))].join('; ');
  return error instanceof Error ? error.message || error.name : String(error);
}

export const notDelivered = (why: string): ApplicationFailure =>
  ApplicationFailure.retryable(`The receiver could not be told: ${withoutSecrets(why)}.`, 'NotDelivered');
