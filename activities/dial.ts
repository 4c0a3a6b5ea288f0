import { request } from 'node:http';
import { connect, type Socket } from 'node:net';
import ipaddr from 'ipaddr.js';

/**
 * Connects to a TCP port of a guest.
 * @param host an IP address
 * @throws Error with Node's system code, or the relay's answer; AbortError when the signal says so
 */
export type Dial = (host: string, port: number, signal: AbortSignal) => Promise<Socket>;

/** Addresses that are reached through an HTTP CONNECT relay on a Unix socket of this host. */
export interface DialRoute {
  /** Such as 10.0.1.0/24. */
  cidr: string;
  socketPath: string;
}

/** Reads routes written as `10.0.1.0/24=/run/a.sock,10.0.2.0/24=/run/b.sock`. @throws Error naming the bad piece */
export function parseDialRoutes(text: string): DialRoute[] {
  return text
    .split(',')
    .map((piece) => piece.trim())
    .filter((piece) => piece !== '')
    .map((piece) => {
      const [, cidr = '', socketPath = ''] = /^([^=]+)=(\/.+)$/.exec(piece) ?? [];
      if (!ipaddr.isValidCIDR(cidr))
        throw new Error(`"${piece}" is no route; write them as 10.0.1.0/24=/path/of/socket.`);
      return { cidr, socketPath };
    });
}

/** Dials by the first route whose addresses hold the host; directly where there is none. */
export function dialer(routes: DialRoute[]): Dial {
  const parsed = routes.map(({ cidr, socketPath }) => ({ range: ipaddr.parseCIDR(cidr), socketPath }));
  return async (host, port, signal) => {
    // Guests are asked by address: a name would be looked up at a server that nobody has chosen.
    const address = ipaddr.parse(host);
    const route = parsed.find(({ range }) => range[0].kind() === address.kind() && address.match(range));
    return route === undefined ? direct(host, port, signal) : relayed(route.socketPath, host, port, signal);
  };
}

function direct(host: string, port: number, signal: AbortSignal): Promise<Socket> {
  return new Promise((resolve, reject) => {
    signal.throwIfAborted();
    const socket = connect({ host, port });
    const abandon = (): void => void socket.destroy(signal.reason as Error);
    signal.addEventListener('abort', abandon, { once: true });
    socket.once('error', (error) => {
      signal.removeEventListener('abort', abandon);
      reject(error);
    });
    socket.once('connect', () => {
      signal.removeEventListener('abort', abandon);
      socket.removeAllListeners('error');
      resolve(socket);
    });
  });
}

/** RFC 9110, section 9.3.6: after a 2xx answer to CONNECT the connection is the guest's. */
function relayed(socketPath: string, host: string, port: number, signal: AbortSignal): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const target = `${host.includes(':') ? `[${host}]` : host}:${port}`;
    const connecting = request({
      socketPath,
      method: 'CONNECT',
      path: target,
      headers: { host: target },
      signal,
    });
    connecting.once('connect', (response, stream, head) => {
      const socket = stream as Socket;
      const status = response.statusCode ?? 0;
      if (status < 200 || status > 299) {
        socket.destroy();
        reject(
          new Error(
            `The relay could not connect to ${target}: ${status} ${response.statusMessage ?? ''}`.trim(),
          ),
        );
        return;
      }
      if (head.length > 0) socket.unshift(head);
      resolve(socket);
    });
    connecting.once('response', (response) => {
      response.resume();
      reject(new Error(`The relay answered ${response.statusCode ?? 0} to CONNECT ${target}.`));
    });
    connecting.once('error', reject);
    connecting.end();
  });
}
