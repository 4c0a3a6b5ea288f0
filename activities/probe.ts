import { type Socket } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import { ApplicationFailure } from '@temporalio/common';
import { messageOf } from '../host/message-of';
import { type Probe, probesOf, type ReadinessProbe } from '../plan/probes';
import { lastLines } from './console';
import { type Dial } from './dial';
import { httpProblem } from './probe-http';
import { secured, serverName } from './probe-tls';

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
  /** Seconds for one try of each probe. */
  trySeconds?: number;
  /** PEM certificates of the authorities that are trusted, instead of those of Node and of this host. */
  authorities?: string[];
}

/** Seconds for one try of each probe; a guest that serves answers in far less, and one that boots drops packets. */
const TRY_SECONDS = 5;
const POLL_SECONDS = 2;
/** A relay or a forwarder may take a connection that the guest then refuses; one that lasts this long is taken. */
const SETTLE_MILLISECONDS = 200;

/**
 * Asks until the VM answers as its plan says; of several probes, until all do at one time.
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
    const problems = await problemsOf(request);
    if (problems.length === 0) return { seconds: Math.round(elapsed() * 10) / 10 };
    signal.throwIfAborted();
    if (elapsed() + pollSeconds > probe.timeout) {
      const failure = await notReady(request, problems);
      signal.throwIfAborted();
      throw failure;
    }
    await pause(pollSeconds * 1000, undefined, { signal });
  }
}

/** One try of every probe. @returns of each that is not answered as the plan says, what was sent and what came */
async function problemsOf(request: ProbeRequest): Promise<string[]> {
  const tries = probesOf(request.probe).map(async (probe) => {
    const answer = await ask(request, probe);
    return answer === undefined ? [] : [`${asked(request.address, probe)}: ${answer}.`];
  });
  return (await Promise.all(tries)).flat();
}

/** One try. @returns undefined where the probe is answered, else what was wrong */
async function ask(
  { address, dial, signal, authorities, trySeconds = TRY_SECONDS }: ProbeRequest,
  { tcp, http, https }: Probe,
): Promise<string | undefined> {
  const limit = AbortSignal.any([signal, AbortSignal.timeout(trySeconds * 1000)]);
  const question = https ?? http;
  const opened: Socket[] = [];
  let step = '';
  try {
    let socket = await dial(address, question?.port ?? tcp ?? 0, limit);
    opened.push(socket);
    if (question === undefined) {
      await staysOpen(socket, limit);
      return undefined;
    }
    if (https !== undefined) {
      step = ' to the TLS handshake';
      socket = await secured(socket, https, limit, authorities);
      opened.push(socket);
    }
    step = ' to the request';
    return await httpProblem(socket, question, hostHeader(address, { http, https }), limit);
  } catch (error) {
    if (limit.aborted && !signal.aborted) return `no answer${step} within ${trySeconds} seconds`;
    return messageOf(error);
  } finally {
    for (const socket of opened.reverse()) socket.destroy();
  }
}

/** As the plan says; else the address, with the port where it is not the protocol's own (RFC 9110, section 7.2). */
function hostHeader(address: string, { http, https }: Probe): string {
  const { host, port } = https ?? http ?? {};
  if (host !== undefined) return host;
  return port === (https === undefined ? 80 : 443) ? address : `${address}:${port}`;
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

/** What was sent, such as `GET http://10.0.1.7:80/health (Host: www.shop.example)`. */
function asked(address: string, { tcp, http, https }: Probe): string {
  const question = https ?? http;
  if (question === undefined) return `TCP port ${tcp} of ${address}`;
  const { host, port, path } = question;
  const name = serverName(host);
  const how = [
    ...(host === undefined ? [] : [`Host: ${host}`]),
    ...(https === undefined ? [] : [name === undefined ? 'no TLS server name' : `TLS server name: ${name}`]),
    ...(https?.verify === false ? ['any certificate'] : []),
  ];
  const url = `${https === undefined ? 'http' : 'https'}://${address}:${port}${path}`;
  return `GET ${url}${how.length === 0 ? '' : ` (${how.join('; ')})`}`;
}

async function notReady(
  { probe, console, remarks }: ProbeRequest,
  problems: string[],
): Promise<ApplicationFailure> {
  const probes = probesOf(probe).length;
  const count = probes === 1 ? '' : ` Of its ${probes} probes ${problems.length} failed.`;
  const told = (await remarks?.()) ?? '';
  let end: string;
  try {
    end = lastLines(await console());
  } catch (error) {
    end = `(could not be read: ${messageOf(error)})`;
  }
  return ApplicationFailure.nonRetryable(
    `The VM was not ready within ${probe.timeout} seconds.${count} ${problems.join(' ')}${told === '' ? '' : ` ${told}`} The console's end:\n${end}`,
    'NotReady',
  );
}
