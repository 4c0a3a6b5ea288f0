import { mkdirSync, readFileSync, rmSync } from 'node:fs';
import { resolve } from 'node:path';
import longFirst from '../test/long-first.cjs';
import { run } from './process.mjs';

const { BUSY } = longFirst;

/**
 * All tests, in two rounds, for two cores. Those that boot guests or start hundreds of tools go two at a time: with a third beside
 * them, guests boot too slowly. The others wait most of the time: with two of them, 40 % of both cores are idle.
 */
const ROUNDS = [
  ['--maxWorkers=2', '--runTestsByPath', ...BUSY],
  ['--maxWorkers=3', '--testPathIgnorePatterns', '/node_modules/', ...BUSY.map((path) => `/${path}$`)],
];

/** Runs all tests (or jest's own arguments), ends with a line of totals, and returns the exit code. */
export async function runTests(args) {
  const rounds = args.length > 0 ? [['--runInBand', ...args]] : ROUNDS;
  mkdirSync('.lifeboat/test', { recursive: true });
  const all = { passed: 0, failed: 0, skipped: 0 };
  let ended = true;
  for (const [index, round] of rounds.entries()) {
    const results = resolve(`.lifeboat/test/results-${index + 1}.json`);
    rmSync(results, { force: true });
    const code = await run(
      process.execPath,
      ['node_modules/jest/bin/jest.js', '--json', `--outputFile=${results}`, ...round],
      {
        stdio: ['inherit', 'ignore', 'inherit'],
        env: {
          ...process.env,
          LIFEBOAT_PYTHON: resolve('.lifeboat/tools/python/bin/python'),
          // Of jest's processes and of workers that are killed and started again, hundreds in all: an AWS proxy loads its modules in 0.36 s instead of 0.5.
          NODE_COMPILE_CACHE: resolve('.lifeboat/test/compiled'),
        },
      },
    );
    const told = totals(results);
    for (const kind of Object.keys(all)) all[kind] += told[kind];
    ended &&= code === 0 && told.passed + told.failed > 0;
  }
  const { passed, failed, skipped } = all;
  console.log(`${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`);
  return ended ? 0 : 1;
}

/** A test file that could not even run counts as one failure. */
function totals(results) {
  const { numPassedTests, numFailedTests, numPendingTests, numTodoTests, numRuntimeErrorTestSuites } =
    JSON.parse(readFileSync(results, 'utf8'));
  return {
    passed: numPassedTests,
    failed: numFailedTests + numRuntimeErrorTestSuites,
    skipped: numPendingTests + numTodoTests,
  };
}
