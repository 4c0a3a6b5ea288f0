import { connect } from 'node:net';
import { ensureInNamespace } from './namespace-process';

/** Starts the relay of a namespace unless it answers already. It outlives this process. */
export async function ensureRelay(namespace: string, socketPath: string, cidr: string): Promise<void> {
  await ensureInNamespace({
    namespace,
    name: 'relay',
    args: [socketPath, cidr],
    log: `${socketPath}.log`,
    serves: () => answers(socketPath),
  });
}

function answers(socketPath: string): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = connect(socketPath);
    probe.once('connect', () => {
      probe.destroy();
      resolve(true);
    });
    probe.once('error', () => resolve(false));
  });
}
