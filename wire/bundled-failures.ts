import { DefaultFailureConverter } from '@temporalio/common';
import { encodingFailures } from './failures';

/**
 * In the bundle of the workflows, whose code has no settings: a worker that encrypts puts the other word of `FAILURES` here when it loads the bundle
 * (wire/bundle-code.ts).
 */
const FAILURES: string = 'lifeboat-failures:plain..';

export const failureConverter = FAILURES.endsWith('encoded')
  ? encodingFailures()
  : new DefaultFailureConverter();
