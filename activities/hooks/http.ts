import { hookUrlProblem } from '../../plan/hook-url';
import { type Hook } from '../../plan/hooks';
import { type Ended, type HookCall } from './command';

/** Bytes of an answer that are read; what comes behind is left. */
const READ_BYTES = 1024 * 1024;

/** Asks a URL once. What answers with a redirect has not done what was asked. */
export async function runRequest(
  { url, method = 'POST', body }: NonNullable<Hook['http']>,
  { facts, seconds, tail, signal }: HookCall,
): Promise<Ended> {
  const problem = hookUrlProblem(url);
  if (problem !== undefined) return { ok: false, reason: `The URL ${problem}.` };
  const timeout = AbortSignal.timeout(seconds * 1000);
  try {
    const answer = await fetch(url, {
      method,
      redirect: 'manual',
      signal: AbortSignal.any([timeout, signal]),
      headers: { 'content-type': 'application/json', 'idempotency-key': facts.id },
      ...(method === 'GET' ? {} : { body: body ?? JSON.stringify(facts) }),
    });
    let read = 0;
    for await (const chunk of answer.body ?? []) {
      tail.add(chunk as Uint8Array);
      read += (chunk as Uint8Array).length;
      if (read > READ_BYTES) break;
    }
    const { status } = answer;
    if (status >= 200 && status < 300) return { ok: true, status };
    const redirect = status >= 300 && status < 400 ? ', a redirect, which is not followed' : '';
    return { ok: false, status, reason: `${new URL(url).host} answered ${status}${redirect}.` };
  } catch (error) {
    if (signal.aborted) throw signal.reason;
    const { host } = new URL(url);
    if (timeout.aborted) return { ok: false, reason: `${host} had not answered after ${seconds} s.` };
    const { cause } = error as { cause?: NodeJS.ErrnoException };
    return { ok: false, reason: `${host} could not be asked (${cause?.code ?? (error as Error).message}).` };
  }
}
