import { ApplicationFailure } from '@temporalio/common';
import { CONTROL_QUEUE } from '../../activities/task-queues';
import { type VmRestoreRequest, type VmRestoreResult } from '../../workflows/restore';
import { RUN } from '../support/run-context';
import { describeWithTemporal, runAwsWorkers, temporalForTests } from './local-temporal';

const refuse = (message: string, type: string) => (): never => {
  throw ApplicationFailure.nonRetryable(message, type);
};

/** On a real Temporal server; the DR copy holds its backup already, so that only the launch copy is to be made. */
describeWithTemporal('a restore whose launch copy cannot be made', () => {
  const server = temporalForTests();

  async function restore(
    id: string,
    answers: Record<'makeLaunchCopy' | 'discardRestore', () => unknown>,
  ): Promise<VmRestoreResult> {
    const { client, nativeConnection: connection } = server();
    const planRestore = () => ({ upToDate: true, recoveryPoint: 'r', takenAt: '2026-11-30T00:00:00Z' });
    const stop = await runAwsWorkers(connection, { planRestore, ...answers });
    try {
      return await client.workflow.execute<(request: VmRestoreRequest) => Promise<VmRestoreResult>>(
        'restoreVm',
        {
          workflowId: id,
          taskQueue: CONTROL_QUEUE,
          args: [{ run: RUN, vm: 'db', copy: 'direct', launchCopy: true }],
        },
      );
    } finally {
      await stop();
    }
  }

  it('is done all the same, and says why', async () => {
    const { launchCopy } = await restore('refused', {
      makeLaunchCopy: refuse('You may not.', 'NotPermitted'),
      discardRestore: () => ({ deleted: [] }),
    });
    expect(launchCopy).toMatchObject({ outcome: 'not made', reason: 'makeLaunchCopy: You may not.' });
  }, 60_000);

  it('is done also where what was begun of it cannot be removed', async () => {
    const { launchCopy } = await restore('left', {
      makeLaunchCopy: refuse('You may not.', 'NotPermitted'),
      discardRestore: refuse('Nor that.', 'NotPermitted'),
    });
    expect(launchCopy?.reason).toMatch(
      /^makeLaunchCopy: You may not\..* left for the next restore.*Nor that\./,
    );
  }, 60_000);

  it('fails where another run has taken the plan', async () => {
    const fenced = restore('fenced', {
      makeLaunchCopy: refuse('Another run has it.', 'Fenced'),
      discardRestore: () => ({ deleted: [] }),
    });
    await expect(fenced).rejects.toThrow();
  }, 60_000);
});
