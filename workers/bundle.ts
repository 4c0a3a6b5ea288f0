import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { bundleWorkflowCode, DefaultLogger } from '@temporalio/worker';
import { bundleName, tracedBundle, VERSIONED_BUNDLE } from './bundle-name';

/** Modules that stand in for others in a bundle, by the path of the other without its ending. */
type Replacements = Record<string, string>;

/**
 * Bundles the compiled workflows, part of `npm run build`: as sites run them, without versions and with, each without traces and with, and,
 * with other times to wait, as the chaos suite does.
 */
async function main(): Promise<void> {
  const dist = join(__dirname, '..');
  const quick = { [join(dist, 'workflows', 'run', 'pace')]: join(dist, 'workflows', 'run', 'quick-pace.js') };
  const traces = [join(dist, 'workflows', 'traces.js')];
  for (const [entry, name] of [
    ['index', bundleName('usual')],
    ['versioned', VERSIONED_BUNDLE],
  ] as const) {
    await bundle(dist, entry, name, {});
    // Of their own, so that who has no traces loads nothing of OpenTelemetry's.
    await bundle(dist, entry, tracedBundle(name), {}, traces);
  }
  await bundle(dist, 'index', bundleName('quick'), quick);
}

async function bundle(
  dist: string,
  entry: string,
  name: string,
  replacements: Replacements,
  workflowInterceptorModules: string[] = [],
): Promise<void> {
  const { code } = await bundleWorkflowCode({
    workflowsPath: join(dist, 'workflows', `${entry}.js`),
    workflowInterceptorModules,
    failureConverterPath: join(dist, 'wire', 'bundled-failures.js'),
    logger: new DefaultLogger('WARN'),
    webpackConfigHook: (config) => ({
      ...config,
      resolve: { ...config.resolve, alias: { ...config.resolve?.alias, ...replacements } },
    }),
  });
  // With OpenTelemetry's, a source map is 2.9 MB that next to nobody loads: stacks of traced workflows name lines of the bundle.
  const map = workflowInterceptorModules.length === 0 ? -1 : code.lastIndexOf('//# sourceMappingURL=');
  await writeFile(join(dist, name), map === -1 ? code : code.slice(0, map));
}

main().catch((error: unknown) => {
  console.error(error);
  process.exitCode = 1;
});
