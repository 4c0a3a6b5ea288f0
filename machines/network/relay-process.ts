import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

/** Node starts in well under a second; a loaded two-core machine may need several. */
const START_TIMEOUT_MILLISECONDS = 20_000;

/** Starts the relay of a namespace unless it answers already. It outlives this process. */
export async function ensureRelay(namespace: string, socketPath: string, cidr: string): Promise<void> {
  if (await answers(socketPath)) return;
  const log = await open(`${socketPath}.log`, 'a');
  try {
    const child = spawn(
      'nsenter',
      [`--net=/run/netns/${namespace}`, '--', process.execPath, ...relayProgram(), socketPath, cidr],
      { detached: true, stdio: ['ignore', log.fd, log.fd] },
    );
    let failure: Error | undefined;
    child.once('error', (error) => (failure = error));
    child.once('exit', (code) => {
      // Code 0: another relay was started at the same time, and that one serves.
      if (code !== 0)
        failure = new Error(`The relay of ${namespace} ended (${code}); see ${socketPath}.log.`);
    });
    child.unref();
    const deadline = Date.now() + START_TIMEOUT_MILLISECONDS;
    while (!(await answers(socketPath))) {
      if (failure) throw failure;
      if (Date.now() > deadline)
        throw new Error(`The relay of ${namespace} does not start; see ${socketPath}.log.`);
      await sleep(30);
    }
  } finally {
    await log.close();
  }
}

/** Node's arguments that run the relay: the compiled program, or its source where there is none (in tests). */
function relayProgram(): string[] {
  const compiled = join(__dirname, 'relay.js');
  return existsSync(compiled) ? [compiled] : ['--experimental-strip-types', join(__dirname, 'relay.ts')];
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
