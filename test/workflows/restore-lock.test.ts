import { ApplicationFailure } from '@temporalio/common';
import { CONTROL_QUEUE } from '../../activities/task-queues';
import { type VmRestoreRequest, type VmRestoreResult } from '../../workflows/restore';
import { RUN } from '../support/run-context';
import { describeWithTemporal, runAwsWorkers, temporalForTests } from './local-temporal';

const LOCK = { every: 86_400, keep: 604_800, mode: 'governance' } as const;

/** On a real Temporal server; the DR copy holds its backup already, so that only the lock is to be made. */
describeWithTemporal('a restore that is to lock its DR copy', () => {
  const server = temporalForTests();

  async function restore(
    id: string,
    lockDrCopy: (input: unknown) => unknown,
    lock?: VmRestoreRequest['lock'],
  ): Promise<VmRestoreResult> {
    const { client, nativeConnection: connection } = server();
    const planRestore = () => ({ upToDate: true, recoveryPoint: 'r', takenAt: '2026-11-30T00:00:00Z' });
    const stop = await runAwsWorkers(connection, { planRestore, lockDrCopy });
    try {
      return await client.workflow.execute<(request: VmRestoreRequest) => Promise<VmRestoreResult>>(
        'restoreVm',
        {
          workflowId: id,
          taskQueue: CONTROL_QUEUE,
          args: [{ run: RUN, vm: 'db', copy: 'direct', ...(lock === undefined ? {} : { lock }) }],
        },
      );
    } finally {
      await stop();
    }
  }
  const refuse = (message: string, type: string) => (): never => {
    throw ApplicationFailure.nonRetryable(message, type);
  };

  it('says what was locked, and asks for nothing where the plan wants no lock', async () => {
    const locked = { outcome: 'locked', recoveryPoint: 'r', takenAt: 't', until: 'u' };
    const asked: unknown[] = [];
    const note = (input: unknown) => (asked.push(input), locked);
    expect((await restore('locked', note, LOCK)).lock).toEqual(locked);
    expect(asked).toEqual([{ run: RUN, vm: 'db', recoveryPoint: 'r', lock: LOCK }]);
    expect(await restore('unasked', note)).not.toHaveProperty('lock');
    expect(asked).toHaveLength(1);
  }, 60_000);

  it('is done all the same where EC2 refuses, and says why', async () => {
    const { kind, lock } = await restore('refused', refuse('You may not.', 'NotPermitted'), LOCK);
    expect([kind, lock]).toEqual([
      'up-to-date',
      { outcome: 'not locked', reason: 'lockDrCopy: You may not.' },
    ]);
  }, 60_000);

  it('fails where another run has taken the plan', async () => {
    await expect(restore('fenced', refuse('Another run has it.', 'Fenced'), LOCK)).rejects.toThrow();
  }, 60_000);
});
