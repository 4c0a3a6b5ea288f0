import { isCancellation, log, patched } from '@temporalio/workflow';
import { type RunContext } from '../plan/run';
import { control } from './run/activities';
import { causeMessage } from './run/failure-message';

/**
 * Notes that a test failover has come to a good end, by which its version of the plan counts as tested. It has, also where that
 * cannot be noted.
 * @returns the phase in which the run ends
 */
export async function noted(run: RunContext, rtoSeconds: number): Promise<string> {
  if (!patched('a test is noted')) return 'done';
  try {
    await control.noteTest({ run, testedAt: new Date().toISOString(), rtoSeconds });
    return 'done';
  } catch (error) {
    if (isCancellation(error)) throw error;
    const failed = causeMessage(error);
    log.error('the test could not be noted', { failed });
    return `done, but the test could not be noted: ${failed}`;
  }
}
