/** How long workflows wait; workflows/run/pace.ts. */
export type Pace = 'usual' | 'quick';

/** File in dist/ with the bundle of the workflows. */
export const bundleName = (pace: Pace): string =>
  pace === 'usual' ? 'workflow-bundle.js' : `workflow-bundle-${pace}.js`;

/** Bundles whose workflows are traced, by the one that they are otherwise; workflows/traces.ts. Those of the chaos suite never are. */
export const tracedBundle = (bundle: string): string => bundle.replace(/\.js$/, '-traced.js');

/** As {@link bundleName}, for versioned workers; workflows/versioned.ts. */
export const VERSIONED_BUNDLE = 'workflow-bundle-versioned.js';
