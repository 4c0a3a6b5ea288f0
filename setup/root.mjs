import { spawnSync } from 'node:child_process';
import { SetupError, output, say } from './process.mjs';

/** The sandbox makes network namespaces and installs packages, so it runs as root; sudo is used where there is one. */
export function ensureRoot() {
  if (process.getuid() === 0) return;
  if (output('sudo', ['--version']) === undefined)
    throw new SetupError(
      'the sandbox needs root (network namespaces, packages): run this as root, or install sudo.',
    );
  say('the sandbox needs root: going on with sudo');
  const { status } = spawnSync(
    'sudo',
    ['-E', 'env', `PATH=${process.env.PATH}`, process.execPath, ...process.argv.slice(1)],
    {
      stdio: 'inherit',
    },
  );
  process.exit(status ?? 1);
}
