import { Agent, type Dispatcher } from 'undici';

/** Seconds until a connection counts as impossible; across Regions a handshake takes well under one. */
const CONNECT_TIMEOUT_SECONDS = 5;
/** Seconds until an answer begins, and between two pieces of it. */
const ANSWER_TIMEOUT_SECONDS = 60;
/** Bytes of an answer that is no payload: an error says what is wrong within a few hundred. */
const LONGEST_TEXT = 64 * 1024;

/** Connections for calls that move blocks, at most so many to each host. */
export function payloadAgent(connections: number): Agent {
  return new Agent({
    connections,
    connect: { timeout: CONNECT_TIMEOUT_SECONDS * 1000 },
    headersTimeout: ANSWER_TIMEOUT_SECONDS * 1000,
    bodyTimeout: ANSWER_TIMEOUT_SECONDS * 1000,
  });
}

/** An answer, as it came. */
export interface Answer {
  status: number;
  headers: Record<string, string | undefined>;
  /** The body where it is no payload: an error. */
  text: string;
  /** Bytes that came for `into`; more than it has where too many came. */
  filled: number;
}

/**
 * One request and its answer, by undici: the payload of a good answer (200, 206) goes straight into memory that is there.
 * @throws Error with one of Node's codes where the connection failed; the signal's reason where that came
 */
export function exchange(
  agent: Agent,
  options: Dispatcher.DispatchOptions,
  into: Buffer | undefined,
  signal: AbortSignal | undefined,
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const answer: Answer = { status: 0, headers: {}, text: '', filled: 0 };
    let abort: (() => void) | undefined;
    const end = (): void => {
      if (abort !== undefined) signal?.removeEventListener('abort', abort);
    };
    agent.dispatch(options, {
      onRequestStart(controller) {
        if (signal === undefined) return;
        end();
        abort = () => controller.abort(signal.reason as Error);
        if (signal.aborted) abort();
        else signal.addEventListener('abort', abort, { once: true });
      },
      onResponseStart(_controller, status, headers) {
        answer.status = status;
        for (const [name, value] of Object.entries(headers))
          answer.headers[name] = Array.isArray(value) ? value[0] : value;
      },
      onResponseData(_controller, chunk) {
        if (into !== undefined && (answer.status === 200 || answer.status === 206)) {
          // Not copy(): into shared memory, that goes byte by byte wherever the two are not aligned alike.
          const end = answer.filled + chunk.length;
          if (end <= into.length) into.fill(chunk, answer.filled, end);
          answer.filled += chunk.length;
        } else if (answer.text.length < LONGEST_TEXT) answer.text += chunk.toString();
      },
      onResponseEnd() {
        end();
        resolve(answer);
      },
      onResponseError(_controller, error) {
        end();
        reject(signal?.aborted === true ? (signal.reason as Error) : asSystemError(error));
      },
    });
  });
}

/**
 * Node's own codes instead of undici's, which nobody else knows: neither the SDK's rules for what is transient nor the
 * rules of what a failure means.
 */
function asSystemError(error: Error & { code?: string }): Error {
  const { code = '' } = error;
  if (!/^(UND_ERR_|HPE_)/.test(code)) return error;
  const known = code.includes('TIMEOUT') ? 'ETIMEDOUT' : 'ECONNRESET';
  return Object.assign(new Error(`The connection failed: ${error.message}`, { cause: error }), {
    code: known,
  });
}
