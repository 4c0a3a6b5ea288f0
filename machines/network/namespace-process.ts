import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { toolEnvironment } from '../../host/tool-environment';

/** Node starts in well under a second; a loaded two-core machine may need several. */
const START_TIMEOUT_MILLISECONDS = 20_000;

/** A program of this directory that serves a segment from within its namespace. */
export interface NamespaceProgram {
  namespace: string;
  /** Name of its file, without ending. */
  name: string;
  args: string[];
  log: string;
  /** Whether one is there that serves. */
  serves: () => Promise<boolean>;
}

/** Starts the program unless it serves already. It outlives this process. */
export async function ensureInNamespace(program: NamespaceProgram): Promise<void> {
  const { namespace, name, args, serves } = program;
  if (await serves()) return;
  const log = await open(program.log, 'a');
  try {
    const child = spawn(
      'nsenter',
      [`--net=/run/netns/${namespace}`, '--', process.execPath, ...nodeArguments(name), ...args],
      { detached: true, stdio: ['ignore', log.fd, log.fd], env: toolEnvironment() },
    );
    let failure: Error | undefined;
    child.once('error', (error) => (failure = error));
    child.once('exit', (code) => {
      // Code 0: another one was started at the same time, and that one serves.
      if (code !== 0) failure = new Error(`The ${name} of ${namespace} ended (${code}); see ${program.log}.`);
    });
    child.unref();
    const deadline = Date.now() + START_TIMEOUT_MILLISECONDS;
    while (!(await serves())) {
      if (failure) throw failure;
      if (Date.now() > deadline)
        throw new Error(`The ${name} of ${namespace} does not start; see ${program.log}.`);
      await sleep(30);
    }
  } finally {
    await log.close();
  }
}

/** Node's arguments that run a program: compiled, or its source where it is not (in tests). */
function nodeArguments(name: string): string[] {
  const compiled = join(__dirname, `${name}.js`);
  return existsSync(compiled) ? [compiled] : ['--experimental-strip-types', join(__dirname, `${name}.ts`)];
}
