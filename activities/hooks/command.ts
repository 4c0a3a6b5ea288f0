import { spawn } from 'node:child_process';
import { constants } from 'node:fs';
import { access, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { type HookFacts, type HookResult } from './contract';
import { type OutputTail } from './output-tail';

/** What a hook is told, for how long it may take, and where its output goes. */
export interface HookCall {
  facts: HookFacts;
  seconds: number;
  tail: OutputTail;
  signal: AbortSignal;
}

export type Ended = Pick<HookResult, 'ok' | 'status' | 'reason'>;

/** Milliseconds from SIGTERM, by which a program can clean up, to SIGKILL. */
const TERM_MS = 5000;
/** Milliseconds for which the output of a program that has ended is waited for: something that it started may hold the pipe. */
const DRAIN_MS = 2000;

/**
 * Runs a program of the proxy's hooks directory: no shell, the facts on its standard input, and of this process's environment only what
 * every program needs. The worker's credentials are none of it.
 */
export async function runCommand(
  directory: string | undefined,
  [program = '', ...args]: readonly string[],
  { facts, seconds, tail, signal }: HookCall,
): Promise<Ended> {
  if (directory === undefined)
    return failed('The proxy runs no commands: LIFEBOAT_HOOKS_DIRECTORY is not set there.');
  const file = join(directory, program);
  const problem = (await problemOf(directory, true)) ?? (await problemOf(file, false));
  if (problem !== undefined) return failed(problem);
  return new Promise((resolve, reject) => {
    const child = spawn(file, args, {
      cwd: directory,
      // A process group of its own, so that all that it starts ends with it.
      detached: true,
      env: environmentOf(facts),
      stdio: ['pipe', 'pipe', 'pipe'],
    });
    const kill = (name: 'SIGTERM' | 'SIGKILL'): void => {
      if (child.pid === undefined) return;
      try {
        process.kill(-child.pid, name);
      } catch (error) {
        // Nobody of the group is left.
        if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
      }
    };
    let overdue = false;
    let killing: NodeJS.Timeout | undefined;
    const end = (): void => {
      kill('SIGTERM');
      killing ??= setTimeout(() => kill('SIGKILL'), TERM_MS);
    };
    const timer = setTimeout(() => {
      overdue = true;
      end();
    }, seconds * 1000);
    signal.addEventListener('abort', end, { once: true });
    let draining: NodeJS.Timeout | undefined;
    const over = (): void => {
      for (const one of [timer, killing, draining]) clearTimeout(one);
      signal.removeEventListener('abort', end);
    };
    child.stdout.on('data', (chunk: Buffer) => tail.add(chunk));
    child.stderr.on('data', (chunk: Buffer) => tail.add(chunk));
    // A program need not read what it is told.
    child.stdin.on('error', () => undefined);
    child.stdin.end(`${JSON.stringify(facts)}\n`);
    child.on('error', (error: NodeJS.ErrnoException) => {
      over();
      resolve(failed(`${program} could not be started (${error.code ?? error.message}).`));
    });
    child.on('exit', () => {
      clearTimeout(timer);
      kill('SIGKILL');
      draining = setTimeout(() => {
        child.stdout.destroy();
        child.stderr.destroy();
      }, DRAIN_MS);
    });
    child.on('close', (code, by) => {
      over();
      if (signal.aborted) reject(signal.reason as Error);
      else if (overdue) resolve(failed(`${program} had not ended after ${seconds} s, and was killed.`));
      else if (code === 0) resolve({ ok: true, status: 0 });
      else if (code === null) resolve(failed(`${program} was ended by ${by ?? 'a signal'}.`));
      else resolve({ ...failed(`${program} ended with exit status ${code}.`), status: code });
    });
  });
}

const failed = (reason: string): Ended => ({ ok: false, reason });

/** Why a directory, or a file in it, is not trusted to be what who runs the proxy has put there; or that it is not there. */
async function problemOf(path: string, directory: boolean): Promise<string | undefined> {
  try {
    const { mode, ...found } = await stat(path).then((one) => ({
      mode: one.mode,
      right: directory ? one.isDirectory() : one.isFile(),
    }));
    if (!found.right) return `${path} on the proxy is no ${directory ? 'directory' : 'file'}.`;
    if ((mode & constants.S_IWOTH) !== 0)
      return `${path} on the proxy can be written by everybody (chmod o-w).`;
    await access(path, constants.X_OK);
    return undefined;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') return `The proxy has no ${path}.`;
    if (code === 'EACCES') return `The proxy may not run ${path} (chmod +x).`;
    throw error;
  }
}

function environmentOf(facts: HookFacts): NodeJS.ProcessEnv {
  const { PATH, HOME, LANG, TZ } = process.env;
  const one = facts.vm === undefined ? undefined : facts.vms[0];
  const all = {
    ...{ PATH, HOME, LANG, TZ },
    LIFEBOAT_HOOK_ID: facts.id,
    LIFEBOAT_HOOK_AT: facts.at,
    LIFEBOAT_PLAN: facts.plan,
    LIFEBOAT_RUN_ID: facts.runId,
    LIFEBOAT_RUN: facts.run,
    LIFEBOAT_VM: facts.vm,
    LIFEBOAT_ADDRESS: one?.address,
    LIFEBOAT_PUBLIC_ADDRESS: one?.publicAddress,
  };
  return Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined));
}
