import { execFileSync, spawn } from 'node:child_process';
import { constants } from 'node:os';
import { fileURLToPath } from 'node:url';
import { runChild } from '../bin/child.mjs';

/** Something a person has to mend; the message says what. */
export class SetupError extends Error {}

export const say = (text) => console.error(`lifeboat set-up: ${text}`);

const sleep = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

/** Runs a command with this terminal; resolves to its exit code, or to 128 + the signal that ended it. */
export async function run(command, args, options = {}) {
  const { code, signal } = await runChild(command, args, options);
  return signal === null ? code : 128 + constants.signals[signal];
}

/** Output of a command in English, as it is read by a program; undefined where it fails or does not exist. */
export function output(command, args) {
  try {
    const env = { ...process.env, LC_ALL: 'C' };
    return execFileSync(command, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'], env });
  } catch {
    return undefined;
  }
}

/**
 * Runs a command that fetches from a package registry. Registries fail at times: three tries, with pauses, and its
 * output only when all have failed.
 */
export async function fetching(what, command, args, options = {}) {
  say(what);
  let log = '';
  for (let attempt = 1; attempt <= 3; attempt++) {
    const code = await new Promise((resolve, reject) => {
      const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'], ...options });
      log = '';
      child.stdout.on('data', (data) => (log += data));
      child.stderr.on('data', (data) => (log += data));
      child.on('error', (error) =>
        reject(
          error.code === 'ENOENT'
            ? new SetupError(`${what}: there is no ${command}; install it first.`)
            : error,
        ),
      );
      child.on('close', resolve);
    });
    if (code === 0) return;
    if (attempt < 3) {
      say(`failed; trying again in ${attempt * 5} s`);
      await sleep(attempt * 5000);
    }
  }
  throw new SetupError(`${what} failed three times:\n${log.slice(-4000)}\n(${command} ${args.join(' ')})`);
}

/**
 * Does the work of a module that is the script that was called, and of no other.
 * @param url the module's
 */
export async function ifCalled(url, work) {
  if (process.argv[1] !== fileURLToPath(url)) return;
  try {
    await work();
  } catch (error) {
    console.error(error instanceof SetupError ? `lifeboat set-up: ${error.message}` : error);
    process.exitCode = 1;
  }
}
