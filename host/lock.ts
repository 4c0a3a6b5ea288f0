import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { toolEnvironment } from './tool-environment';

/** For work no longer than closing a disk with much left to flush. */
const WAIT_SECONDS = 120;

/**
 * Runs `work` while no other process, and nobody else in this one, holds the lock of `path`. The kernel gives the
 * lock up when this process dies: it is held by flock(1), which ends with its standard input.
 */
export async function withLock<Result>(
  path: string,
  work: () => Promise<Result>,
  waitSeconds = WAIT_SECONDS,
): Promise<Result> {
  // `cat` echoes the byte that it is sent, and so tells that the lock is ours.
  const holder = spawn('flock', ['--exclusive', '--timeout', String(waitSeconds), path, 'cat'], {
    stdio: ['pipe', 'pipe', 'ignore'],
    env: toolEnvironment(),
  });
  const ended = once(holder, 'close');
  holder.stdin.on('error', () => {}); // flock gave up: its exit, seen below, says so
  holder.stdin.write('x');
  const outcome = await Promise.race([
    once(holder.stdout, 'data').then(() => 'locked'),
    ended.then(() => 'ended'),
  ]);
  if (outcome !== 'locked')
    throw new Error(`${path} is locked by another process for more than ${waitSeconds} s.`);
  try {
    return await work();
  } finally {
    holder.stdin.end();
    await ended;
  }
}
