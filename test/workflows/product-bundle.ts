import { randomUUID } from 'node:crypto';
import { existsSync } from 'node:fs';
import { rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { bundleWorkflowCode, DefaultLogger } from '@temporalio/worker';
import { type Pace } from '../../workers/bundle-name';

/** Modules that stand in for others, as in the bundles that are built (workers/bundle.ts). */
const REPLACEMENTS: Record<Pace, Record<string, string>> = {
  usual: {},
  quick: {
    [join(__dirname, '../../workflows/run/pace')]: require.resolve('../../workflows/run/quick-pace'),
  },
};

/**
 * The product's workflows, for workers and replays in tests. It takes two seconds of CPU to make, and one run of jest has forty files that
 * want it, each in a process of its own: it is made of the present sources once a run (test/run-directory.cjs).
 */
export async function productBundle(pace: Pace = 'usual'): Promise<{ codePath: string }> {
  const directory = process.env.LIFEBOAT_TEST_RUN;
  if (directory === undefined) throw new Error('jest.config.js names no test/run-directory.cjs.');
  const codePath = join(directory, `workflows-${pace}.js`);
  if (existsSync(codePath)) return { codePath };
  const { code } = await bundleWorkflowCode({
    workflowsPath: require.resolve('../../workflows'),
    failureConverterPath: require.resolve('../../wire/bundled-failures'),
    logger: new DefaultLogger('ERROR'),
    webpackConfigHook: (config) => ({
      ...config,
      resolve: { ...config.resolve, alias: { ...config.resolve?.alias, ...REPLACEMENTS[pace] } },
    }),
  });
  // Several processes may make it at one time; it is there whole, or not at all.
  const next = `${codePath}.${randomUUID()}`;
  await writeFile(next, code);
  await rename(next, codePath);
  return { codePath };
}
