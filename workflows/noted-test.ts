import { isCancellation, log, patched } from '@temporalio/workflow';
import { type FailoverReadiness } from '../activities/aws-proxy/readiness/contract';
import { type RunContext } from '../plan/run';
import { control } from './run/activities';
import { causeMessage } from './run/failure-message';

/**
 * Notes that a test failover has come to a good end, by which its version of the plan counts as tested, and its guests and proxy as they were. It has, also where that
 * cannot be noted.
 * @returns the phase in which the run ends
 */
export async function noted(
  run: RunContext,
  rtoSeconds: number,
  { drCopies, version }: Pick<FailoverReadiness, 'drCopies' | 'version'>,
): Promise<string> {
  if (!patched('a test is noted')) return 'done';
  try {
    const recoveryPoints = Object.fromEntries(drCopies.map(({ vm, recoveryPoint }) => [vm, recoveryPoint]));
    await control.noteTest({
      ...{ run, testedAt: new Date().toISOString(), rtoSeconds, recoveryPoints },
      ...(version === undefined ? {} : { awsProxy: version }),
    });
    return 'done';
  } catch (error) {
    if (isCancellation(error)) throw error;
    const failed = causeMessage(error);
    log.error('the test could not be noted', { failed });
    return `done, but the test could not be noted: ${failed}`;
  }
}
