import { ApplicationFailure } from '@temporalio/common';
import { AWS_PROXY_QUEUE, CONTROL_QUEUE } from '../../activities/task-queues';
import { type VmRestoreRequest, type VmRestoreResult } from '../../workflows/restore';
import { RUN } from '../support/run-context';
import { describeWithTemporal, runWorkers, temporalForTests } from './local-temporal';

const refuse = (message: string, type: string) => (): never => {
  throw ApplicationFailure.nonRetryable(message, type);
};

/** On a real Temporal server; the DR copy holds its backup already, so that only the launch copy, or a lock, is to be made. */
describeWithTemporal('a restore whose launch copy or lock cannot be made', () => {
  const server = temporalForTests();

  async function restore(
    id: string,
    answers: Partial<Record<'makeLaunchCopy' | 'discardRestore' | 'lockDrCopy', (input: unknown) => unknown>>,
    wanted: Partial<VmRestoreRequest> = { launchCopy: true },
  ): Promise<VmRestoreResult> {
    const { client, nativeConnection: connection } = server();
    const planRestore = () => ({ upToDate: true, recoveryPoint: 'r', takenAt: '2026-11-30T00:00:00Z' });
    const stop = await runWorkers(connection, { [AWS_PROXY_QUEUE]: { planRestore, ...answers } });
    try {
      return await client.workflow.execute<(request: VmRestoreRequest) => Promise<VmRestoreResult>>(
        'restoreVm',
        {
          workflowId: id,
          taskQueue: CONTROL_QUEUE,
          args: [{ run: RUN, vm: 'db', copy: 'direct', ...wanted }],
        },
      );
    } finally {
      await stop();
    }
  }

  it('is done all the same, and says why', async () => {
    const restored = await restore('refused', {
      makeLaunchCopy: refuse('You may not.', 'NotPermitted'),
      discardRestore: () => ({ deleted: [] }),
    });
    expect(restored.launchCopy).toMatchObject({
      outcome: 'not made',
      reason: 'makeLaunchCopy: You may not.',
    });
    // Nobody wants it.
    expect(restored).not.toHaveProperty('lock');
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

  const lock = { every: 86_400, keep: 604_800, mode: 'governance' } as const;

  it('says what was locked', async () => {
    const locked = { outcome: 'locked', recoveryPoint: 'r', takenAt: 't', until: 'u' };
    const asked: unknown[] = [];
    const lockDrCopy = (input: unknown) => (asked.push(input), locked);
    expect(await restore('locked', { lockDrCopy }, { lock })).toMatchObject({
      kind: 'up-to-date',
      lock: locked,
    });
    expect(asked).toEqual([{ run: RUN, vm: 'db', recoveryPoint: 'r', lock }]);
  }, 60_000);

  it('is done all the same where EC2 refuses to lock, and says why', async () => {
    const lockDrCopy = refuse('You may not.', 'NotPermitted');
    expect(await restore('not locked', { lockDrCopy }, { lock })).toMatchObject({
      kind: 'up-to-date',
      lock: { outcome: 'not locked', reason: 'lockDrCopy: You may not.' },
    });
  }, 60_000);

  it('fails where another run has taken the plan before the lock', async () => {
    const lockDrCopy = refuse('Another run has it.', 'Fenced');
    await expect(restore('fenced lock', { lockDrCopy }, { lock })).rejects.toThrow();
  }, 60_000);
});
