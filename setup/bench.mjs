import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { ensureAptPackages } from './apt.mjs';
import { SetupError, fetching, output, run } from './process.mjs';

/** Peers that Debian has. */
const PACKAGES = ['restic'];

/** Of the option below: cargo's own folder layout puts the program into bin/. */
const TOOLS = resolve('.lifeboat/tools');
const BUILD_COLDSNAP = '--build-coldsnap';
/** The version that the figures in docs/performance.md were measured with. */
const COLDSNAP = 'coldsnap@0.12.0';

/** Runs a benchmark with its peers in place, and returns the exit code. */
export async function runBenchmark(args) {
  await ensureAptPackages(PACKAGES);
  const rest = args.filter((argument) => argument !== BUILD_COLDSNAP);
  if (rest.length < args.length) await buildColdsnap();
  return run(process.execPath, ['--enable-source-maps', 'dist/bench/main.js', ...rest]);
}

async function buildColdsnap() {
  if (existsSync(resolve(TOOLS, 'bin/coldsnap'))) return;
  if (output('cargo', ['--version']) === undefined)
    throw new SetupError('coldsnap is built by cargo, and there is none: install Rust, or set COLDSNAP_BIN.');
  const args = ['install', '--locked', '--root', TOOLS, COLDSNAP];
  await fetching(`building ${COLDSNAP} (some minutes)`, 'cargo', args);
}
