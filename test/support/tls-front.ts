import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { freePorts } from '../../sandbox/free-ports';
import { eventually } from './eventually';

/** Whether this host has HAProxy, which set-up brings. */
export function hasHaproxy(): boolean {
  try {
    execFileSync('haproxy', ['-v'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

/** One way in: a port that speaks TLS. */
export interface Way {
  /** File of the server's certificate and key. */
  certificate: string;
  /** File of the CA whose client certificates are let in; none is asked for where it is absent. */
  clients?: string;
  /** The API key that is asked for, as Temporal's servers have it: `authorization: Bearer …`. */
  apiKey?: string;
}

/** HAProxy before a Temporal server, as load balancers are. To be ended. */
export interface TlsFront {
  /** `host:port` of each way in. */
  addresses: Record<string, string>;
  end(): Promise<void>;
}

/** @param server `host:port` of a Temporal server without TLS @param directory for the configuration */
export async function startTlsFront(
  server: string,
  ways: Record<string, Way>,
  directory: string,
): Promise<TlsFront> {
  const ports = await freePorts(Object.keys(ways).length);
  const addresses = Object.fromEntries(Object.keys(ways).map((name, at) => [name, `127.0.0.1:${ports[at]}`]));
  const file = join(directory, 'haproxy.cfg');
  writeFileSync(file, configuration(server, ways, addresses));
  const proxy = spawn('haproxy', ['-db', '-f', file], { stdio: ['ignore', 'ignore', 'pipe'] });
  let said = '';
  proxy.stderr.on('data', (data: Buffer) => (said += data.toString()));
  const ended = once(proxy, 'exit');
  const end = async (): Promise<void> => {
    if (proxy.exitCode !== null || proxy.signalCode !== null) return;
    proxy.kill('SIGKILL');
    await ended;
  };
  try {
    for (const port of ports)
      await eventually(30, () => {
        if (proxy.exitCode !== null) throw new Error(`HAProxy has ended: ${said}`);
        return new Promise<true>((resolve, reject) => {
          const socket = connect(port, '127.0.0.1', () => resolve(true));
          socket.once('error', reject);
          socket.once('connect', () => socket.destroy());
        });
      });
  } catch (error) {
    await end();
    throw error;
  }
  return { addresses, end };
}

function configuration(server: string, ways: Record<string, Way>, addresses: Record<string, string>): string {
  const fronts = Object.entries(ways).flatMap(([name, { certificate, clients, apiKey }]) => [
    `frontend ${name}`,
    `  bind ${addresses[name]} ssl crt ${certificate} alpn h2${clients === undefined ? '' : ` ca-file ${clients} verify required`}`,
    ...(apiKey === undefined
      ? []
      : [
          // gRPC's UNAUTHENTICATED, in the headers, as an answer without a body has it.
          '  http-request return status 200 content-type application/grpc hdr grpc-status 16 hdr grpc-message "Request unauthorized." ' +
            `unless { req.hdr(authorization) -m str "Bearer ${apiKey}" }`,
        ]),
    '  default_backend temporal',
  ]);
  return [
    ...['defaults', '  mode http', '  timeout connect 5s', '  timeout client 1h', '  timeout server 1h'],
    ...fronts,
    ...['backend temporal', `  server one ${server} proto h2`, ''],
  ].join('\n');
}
