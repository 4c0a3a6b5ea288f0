import { mkdirSync, readFileSync, rmSync } from 'node:fs';
import { resolve } from 'node:path';
import { run } from './process.mjs';

/** Two files side by side: those that run whole sandboxes wait most of the time. More would make guests boot too slowly on two cores. */
const ALL = ['--maxWorkers=2'];

/** Runs all tests (or jest's own arguments), ends with a line of totals, and returns the exit code. */
export async function runTests(args) {
  const results = resolve('.lifeboat/test/results.json');
  mkdirSync('.lifeboat/test', { recursive: true });
  rmSync(results, { force: true });
  const chosen = args.length > 0 ? ['--runInBand', ...args] : ALL;
  const code = await run(
    process.execPath,
    ['node_modules/jest/bin/jest.js', '--json', `--outputFile=${results}`, ...chosen],
    {
      stdio: ['inherit', 'ignore', 'inherit'],
      env: { ...process.env, LIFEBOAT_PYTHON: resolve('.lifeboat/tools/python/bin/python') },
    },
  );
  const { passed, failed, skipped } = totals(results);
  console.log(`${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`);
  return code !== 0 || passed + failed === 0 ? 1 : 0;
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
