import { request } from 'node:http';
import { type Socket } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import { ApplicationFailure } from '@temporalio/common';
import { type ReadinessProbe } from '../plan/schema';
import { lastLines } from './console';
import { type Dial } from './dial';

export interface ProbeRequest {
  /** IP address of the VM, as its own site knows it. */
  address: string;
  probe: ReadinessProbe;
  dial: Dial;
  /** What the guest wrote to its console, for the failure; its errors are told there, too. */
  console: () => Promise<string>;
  /** What else tells why, in whole sentences for the failure. It is asked before the console, and throws nothing. */
  remarks?: () => Promise<string>;
  /** Ends the wait: the activity was cancelled. */
  signal: AbortSignal;
  heartbeat: () => void;
  /** Seconds between two tries. */
  pollSeconds?: number;
}

/** Seconds for one try; a guest that serves answers in far less, and one that boots drops packets. */
const TRY_SECONDS = 5;
const POLL_SECONDS = 2;
/** A relay or a forwarder may take a connection that the guest then refuses; one that lasts this long is taken. */
const SETTLE_MILLISECONDS = 200;

/**
 * Asks until the VM answers as its plan says.
 * @returns the seconds that it took
 * @throws ApplicationFailure NotReady, non-retryable, after the probe's own timeout: with the last answer and the
 * console's last lines
 */
export async function waitUntilAnswers(request: ProbeRequest): Promise<{ seconds: number }> {
  const { probe, signal, pollSeconds = POLL_SECONDS } = request;
  const begun = performance.now();
  const elapsed = (): number => (performance.now() - begun) / 1000;
  for (;;) {
    signal.throwIfAborted();
    request.heartbeat();
    const answer = await ask(request);
    if (answer === undefined) return { seconds: Math.round(elapsed() * 10) / 10 };
    signal.throwIfAborted();
    if (elapsed() + pollSeconds > probe.timeout) {
      const failure = await notReady(request, answer);
      signal.throwIfAborted();
      throw failure;
    }
    await pause(pollSeconds * 1000, undefined, { signal });
  }
}

/** One try. @returns undefined where the VM is ready, else what was wrong */
async function ask({ address, probe, dial, signal }: ProbeRequest): Promise<string | undefined> {
  const limit = AbortSignal.any([signal, AbortSignal.timeout(TRY_SECONDS * 1000)]);
  let socket: Socket | undefined;
  try {
    socket = await dial(address, probe.http?.port ?? probe.tcp ?? 0, limit);
    if (probe.http === undefined) {
      await staysOpen(socket, limit);
      return undefined;
    }
    const status = await httpStatus(socket, address, probe.http, limit);
    return status === probe.http.status ? undefined : `it answered with HTTP status ${status}`;
  } catch (error) {
    if (limit.aborted && !signal.aborted) return `no answer within ${TRY_SECONDS} seconds`;
    return error instanceof Error ? error.message : String(error);
  } finally {
    socket?.destroy();
  }
}

function staysOpen(socket: Socket, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const settled = setTimeout(resolve, SETTLE_MILLISECONDS);
    const fail = (error: Error): void => {
      clearTimeout(settled);
      reject(error);
    };
    socket.once('error', fail);
    socket.once('end', () => fail(new Error('the connection was closed at once')));
    socket.once('close', () => fail(new Error('the connection was closed at once')));
    signal.addEventListener('abort', () => fail(signal.reason as Error), { once: true });
    // Only a stream that is read notices its end; what a server greets with is not looked at.
    socket.resume();
  });
}

function httpStatus(
  socket: Socket,
  address: string,
  http: NonNullable<ReadinessProbe['http']>,
  signal: AbortSignal,
): Promise<number> {
  return new Promise((resolve, reject) => {
    const asking = request({
      // The socket is there already: dialled through the relay that leads to the guest.
      createConnection: () => socket,
      host: address,
      port: http.port,
      path: http.path,
      headers: { connection: 'close', 'user-agent': 'lifeboat-probe' },
      signal,
    });
    asking.once('response', (response) => {
      // The status is the answer; a body could be endless.
      resolve(response.statusCode ?? 0);
      asking.destroy();
    });
    asking.on('error', reject);
    asking.end();
  });
}

async function notReady(
  { address, probe, console, remarks }: ProbeRequest,
  answer: string,
): Promise<ApplicationFailure> {
  const asked = probe.http
    ? `GET http://${address}:${probe.http.port}${probe.http.path}`
    : `TCP port ${probe.tcp} of ${address}`;
  const told = (await remarks?.()) ?? '';
  let end: string;
  try {
    end = lastLines(await console());
  } catch (error) {
    end = `(could not be read: ${error instanceof Error ? error.message : String(error)})`;
  }
  return ApplicationFailure.nonRetryable(
    `The VM was not ready within ${probe.timeout} seconds. ${asked}: ${answer}.${told === '' ? '' : ` ${told}`} The console's end:\n${end}`,
    'NotReady',
  );
}
