import { request } from 'node:http';
import { connect, type Socket } from 'node:net';

/** The relay refused or could not make a connection; `status` is the HTTP status of its answer. */
export class RelayRefusedError extends Error {
  constructor(
    readonly status: number,
    reason: string,
  ) {
    super(reason);
    this.name = 'RelayRefusedError';
  }
}

/** Above the relay's own connect timeout, so that its answer, which says more, comes first. */
const DIAL_TIMEOUT_MILLISECONDS = 15_000;

/**
 * Opens a TCP connection to a guest through the relay of its segment. The socket is paused and half-open: ending
 * it leaves the other direction as it is.
 * @throws RelayRefusedError when the relay answers anything but 200; a system error when there is no relay
 */
export function dialThroughRelay(relaySocket: string, address: string, port: number): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const connection = connect({ path: relaySocket, allowHalfOpen: true });
    const dial = request({
      method: 'CONNECT',
      path: `${address}:${port}`,
      createConnection: () => connection,
      timeout: DIAL_TIMEOUT_MILLISECONDS,
    });
    dial.once('timeout', () => dial.destroy(new Error(`The relay at ${relaySocket} does not answer.`)));
    dial.once('error', (error) => {
      connection.destroy();
      reject(error);
    });
    dial.once('connect', (response, socket, head) => {
      if (response.statusCode !== 200) {
        connection.destroy();
        // The reason stands in the body; what has come of it is in `head`, as CONNECT answers have none by rule.
        const reason = head.toString('utf8').trim() || `The relay answered ${response.statusCode}.`;
        reject(new RelayRefusedError(response.statusCode ?? 0, reason));
        return;
      }
      connection.setTimeout(0);
      if (head.length > 0) socket.unshift(head);
      resolve(connection);
    });
    dial.end();
  });
}
