// Letting another program take over, for the command and for set-up alike; syntax that Node 12 reads.
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';

const SIGNALS = ['SIGINT', 'SIGQUIT', 'SIGTERM', 'SIGHUP'];
/** What a terminal sends at a key, to every process of the job at once. */
const OF_KEYS = ['SIGINT', 'SIGQUIT'];

/**
 * Runs a program with this terminal to its end, and passes signals on to it. Until then no signal ends this process: a
 * prompt must not come back while the program still cleans up.
 * @returns promise of `{code, signal}`, one of which is null; rejects where the program cannot be started
 */
export function runChild(command, args, options = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { stdio: 'inherit', ...options });
    // A second SIGINT means "at once" to many programs, so that of a key is not passed on: the child has had it.
    const pass = (signal) => {
      if (!(OF_KEYS.includes(signal) && isForeground())) child.kill(signal);
    };
    const release = () => SIGNALS.forEach((signal) => process.off(signal, pass));
    SIGNALS.forEach((signal) => process.on(signal, pass));
    child.on('error', (error) => {
      release();
      reject(error);
    });
    child.on('exit', (code, signal) => {
      release();
      resolve({ code, signal });
    });
  });
}

/** Ends this process the way the child ended: with its exit code, or by the same signal. */
export function endAs({ code, signal }) {
  if (signal === null) process.exit(code);
  process.kill(process.pid, signal);
}

/** Whether the terminal's keys go to this process's job: proc_pid_stat(5), fields pgrp, session, tty_nr, tpgid. */
function isForeground() {
  const stat = readFileSync('/proc/self/stat', 'utf8');
  // The second field is the program's name in brackets, which may hold anything.
  const [, , group, , , foreground] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return group === foreground;
}
