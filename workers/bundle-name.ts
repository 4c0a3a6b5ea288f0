/** How long workflows wait; workflows/run/pace.ts. */
export type Pace = 'usual' | 'quick';

/** File in dist/ with the bundle of the workflows. */
export const bundleName = (pace: Pace): string =>
  pace === 'usual' ? 'workflow-bundle.js' : `workflow-bundle-${pace}.js`;

/** As {@link bundleName}, for versioned workers; workflows/versioned.ts. */
export const VERSIONED_BUNDLE = 'workflow-bundle-versioned.js';
