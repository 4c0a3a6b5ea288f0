import { ApplicationFailure } from '@temporalio/common';
import { Worker } from '@temporalio/worker';
import { BACKUP_PROXY_QUEUE, CONTROL_QUEUE } from '../../activities/task-queues';
import { RUN } from '../support/run-context';
import { describeWithTemporal, runWorkers, temporalForTests } from './local-temporal';
import { productBundle } from './product-bundle';

interface Asked {
  backupId: string;
  full?: boolean;
}

/** On a real Temporal server; what the data centre would be asked is only noted. */
describeWithTemporal('a backup whose snapshot is lost while it is read', () => {
  const server = temporalForTests();

  /** A backup of one VM, whose snapshot is gone for so many times. @returns what was asked for, in order, and how it ended */
  async function backUp(lost: number) {
    const calls: { call: string; id: string; full?: boolean }[] = [];
    const noted =
      (call: string, result: () => unknown) =>
      ({ backupId: id, full }: Asked): Promise<unknown> => {
        calls.push({ call, id, ...(full === undefined ? {} : { full }) });
        return Promise.resolve(result());
      };
    let left = lost;
    const snapshot = {
      ...{ takenAt: '2026-12-01T00:00:00Z', consistency: 'crash', notes: [], changeMarkers: {} },
      configuration: { disks: [{ key: 'system' }] },
    };
    const { nativeConnection: connection, client } = server();
    const stop = await runWorkers(connection, {
      [BACKUP_PROXY_QUEUE]: {
        snapshotVm: noted('snapshot', () => snapshot),
        rehearseAdaptation: () => Promise.resolve({ rehearsedAt: 'now', outcome: 'adaptable', warnings: [] }),
        backupDisk: noted('copy', () => {
          if (left-- > 0) throw ApplicationFailure.nonRetryable('somebody removed it', 'SnapshotLost');
          return { blocks: 1, bytes: 1, blocksSentAgain: 0, seconds: 1, full: false };
        }),
        finishBackup: noted('finish', () => ({ kind: 'full', takenAt: snapshot.takenAt })),
        releaseVmSnapshot: noted('release', () => undefined),
      },
    });
    try {
      const handle = await client.workflow.start('backupVm', {
        workflowId: `lost-${lost}`,
        taskQueue: CONTROL_QUEUE,
        args: [{ run: RUN, vm: 'db' }],
      });
      const ended = await handle.result().then(
        () => 'done',
        (error: Error) => String((error.cause as Error).cause),
      );
      await Worker.runReplayHistory({ workflowBundle: await productBundle() }, await handle.fetchHistory());
      return { calls, ended };
    } finally {
      await stop();
    }
  }

  it('is made of another snapshot, under another id, and leaves neither', async () => {
    const { calls, ended } = await backUp(1);
    expect(ended).toBe('done');
    const [first = '', second = ''] = [...new Set(calls.map(({ id }) => id))];
    expect(calls).toEqual([
      { call: 'snapshot', id: first },
      { call: 'copy', id: first, full: false },
      { call: 'release', id: first },
      { call: 'snapshot', id: second },
      { call: 'copy', id: second, full: false },
      { call: 'finish', id: second },
      { call: 'release', id: second },
    ]);
    expect(second > first).toBe(true);
  }, 60_000);

  it('fails where each one is lost, and says so', async () => {
    const { calls, ended } = await backUp(100);
    expect(ended).toMatch(/somebody removed it/);
    expect(calls.filter(({ call }) => call === 'snapshot')).toHaveLength(3);
    expect(calls.filter(({ call }) => call === 'release')).toHaveLength(3);
  }, 60_000);
});
