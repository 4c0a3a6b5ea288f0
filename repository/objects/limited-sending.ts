import { Readable } from 'node:stream';
import { type RateLimit } from '../../blocks/limits/rate-limit';

/** How fast a body may go, and what gives it up. */
export interface LimitedSending {
  limit: RateLimit;
  signal: AbortSignal;
}

/** Bytes that go at once: half a second of the least limit that a plan may have, and TLS sends 16 KiB at most in one. */
const PIECE_BYTES = 64 * 1024;

/**
 * Sends a body piece by piece, each as the limit lets it go: a pack (16 MiB) that went whole would fill the line for a
 * second, and then leave it empty for ten.
 * @param send to be called once, with options for the client's `send`
 * @throws the signal's reason; what `send` throws
 */
export async function sendLimited<T>(
  { limit, signal }: LimitedSending,
  bytes: Uint8Array,
  send: (body: Readable, options: { abortSignal: AbortSignal; requestTimeout: number }) => Promise<T>,
): Promise<T> {
  signal.throwIfAborted();
  const stop = new AbortController();
  const onAbort = (): void => stop.abort(signal.reason);
  signal.addEventListener('abort', onAbort, { once: true });
  let sent = 0;
  async function* pieces(): AsyncGenerator<Uint8Array> {
    while (sent < bytes.length) {
      const piece = bytes.subarray(sent, sent + PIECE_BYTES);
      await limit.take(piece.length, stop.signal);
      sent += piece.length;
      yield piece;
    }
  }
  const body = Readable.from(pieces());
  // The client pipes it, and would wait for ever for the end of a stream that has failed.
  body.on('error', (error) => stop.abort(error));
  try {
    // The client's own time is that of a whole request, which takes as long as the limit makes it; a connection on which
    // nothing moves ends by the time of its socket all the same.
    return await send(body, { abortSignal: stop.signal, requestTimeout: 0 });
  } catch (error) {
    stop.signal.throwIfAborted();
    throw error;
  } finally {
    signal.removeEventListener('abort', onAbort);
    // Answered before all of it was sent: the connection is of no use any more.
    if (sent < bytes.length) stop.abort(new Error('The request was answered before it was sent.'));
    body.destroy();
  }
}
