import { mkdirSync, readFileSync, rmSync } from 'node:fs';
import { resolve } from 'node:path';
import { run } from './process.mjs';

/**
 * Two rounds, so that what boots machines or runs whole sandboxes does not starve what is quick. Of those, too, two run
 * side by side: most of them wait most of the time. More would make guests boot too slowly on two cores.
 */
const ROUNDS = [
  { name: 'quick', args: ['--maxWorkers=2', '--testPathIgnorePatterns', '/test/e2e/', '/node_modules/'] },
  { name: 'e2e', args: ['--maxWorkers=2', '--testPathPatterns', '/test/e2e/'] },
];

/** Runs all tests (or jest's own arguments), ends with a line of totals, and returns the exit code. */
export async function runTests(args) {
  const rounds = args.length > 0 ? [{ name: 'chosen', args: ['--runInBand', ...args] }] : ROUNDS;
  const totals = { passed: 0, failed: 0, skipped: 0 };
  let exitCode = 0;
  mkdirSync('.lifeboat/test', { recursive: true });
  for (const round of rounds) {
    const results = resolve(`.lifeboat/test/${round.name}.json`);
    rmSync(results, { force: true });
    const code = await run(
      process.execPath,
      ['node_modules/jest/bin/jest.js', '--json', `--outputFile=${results}`, ...round.args],
      {
        stdio: ['inherit', 'ignore', 'inherit'],
        env: { ...process.env, LIFEBOAT_PYTHON: resolve('.lifeboat/tools/python/bin/python') },
      },
    );
    if (code !== 0) exitCode = 1;
    count(results, totals);
  }
  if (totals.passed + totals.failed === 0) exitCode = 1;
  const skipped = totals.skipped > 0 ? `, ${totals.skipped} skipped` : '';
  console.log(`${totals.passed} passed, ${totals.failed} failed${skipped}`);
  return exitCode;
}

/** Adds one round's results; a test file that could not even run counts as one failure. */
function count(results, totals) {
  const { numPassedTests, numFailedTests, numPendingTests, numTodoTests, numRuntimeErrorTestSuites } =
    JSON.parse(readFileSync(results, 'utf8'));
  totals.passed += numPassedTests;
  totals.failed += numFailedTests + numRuntimeErrorTestSuites;
  totals.skipped += numPendingTests + numTodoTests;
}
