import { endAs, runChild } from '../bin/child.mjs';
import { SetupError, output, say } from './process.mjs';

/**
 * The sandbox makes network namespaces and installs packages, so it runs as root; sudo is used where there is one.
 * @returns promise of whether this process is the one to go on; it ends by itself where it is not
 */
export async function ensureRoot() {
  if (process.getuid() === 0) return true;
  if (output('sudo', ['--version']) === undefined)
    throw new SetupError(
      'the sandbox needs root (network namespaces, packages): run this as root, or install sudo.',
    );
  say('the sandbox needs root (network namespaces, packages): going on with sudo');
  endAs(
    await runChild('sudo', [
      ...['-E', 'env', `PATH=${process.env.PATH}`],
      ...[process.execPath, ...process.argv.slice(1)],
    ]),
  );
  return false;
}
