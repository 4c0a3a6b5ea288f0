import { isGrpcServiceError } from '@temporalio/client';
import { Worker } from '@temporalio/worker';
import { pollersOf } from '../../activities/control/workers/pollers';
import { lookAtWorkers } from '../../activities/control/workers/look';
import { pinnedVersion, unservedCurrent } from '../../activities/control/workers/unserved-versions';
import {
  AWS_PROXY_QUEUE,
  awsProxyAnswerQueue,
  BACKUP_PROXY_ANSWER_QUEUE,
  CONTROL_QUEUE,
  workerAnswerQueue,
} from '../../activities/task-queues';
import { workerVersions } from '../../client/worker-versions';
import { describeWithTemporal, temporalForTests } from './local-temporal';

/** A gRPC status code. */
const NOT_FOUND = 5;
const DEPLOYMENT = 'lifeboat';
const PROXY = 'aws-proxy@here:1 0.1.0+4d1f0c27b9e8';
const OLD_PROXY = 'backup-proxy@there:2';

describeWithTemporal('what a plan needs of its workers', () => {
  const server = temporalForTests();

  /** @returns undefined where the server does not know it yet */
  const current = (buildId: string) =>
    server()
      .connection.workflowService.setWorkerDeploymentCurrentVersion({
        namespace: server().namespace ?? 'default',
        ...{ deploymentName: DEPLOYMENT, buildId, identity: 'test' },
      })
      .catch((error: unknown) => {
        if (isGrpcServiceError(error) && error.code === NOT_FOUND) return undefined;
        throw error;
      });

  async function during<T>(workers: Worker[], work: () => Promise<T>): Promise<T> {
    const working = workers.map((one) => one.run());
    try {
      return await work();
    } finally {
      for (const one of workers) one.shutdown();
      await Promise.all(working);
    }
  }

  it('lists every proxy that polls, and which of them can be asked for itself', async () => {
    const { nativeConnection: connection, client } = server();
    const nothing = { activities: { nothing: () => Promise.resolve() } };
    const worker = (taskQueue: string, identity: string) =>
      Worker.create({ connection, taskQueue, identity, ...nothing });
    const workers = [
      await worker(awsProxyAnswerQueue(), PROXY),
      await worker(workerAnswerQueue(PROXY), PROXY),
      await worker(BACKUP_PROXY_ANSWER_QUEUE, OLD_PROXY),
      await worker(AWS_PROXY_QUEUE, 'somebody else'),
    ];
    await during(workers, async () => {
      let found = await lookAtWorkers(client, 'shop');
      // The server learns of a poller with its first poll.
      while (found.proxies.filter(({ asked }) => asked).length < 1 || found.proxies.length < 2)
        found = await lookAtWorkers(client, 'shop');
      expect(found).toEqual({
        findings: [],
        proxies: [
          { role: 'aws-proxy', worker: PROXY, version: '0.1.0', asked: true },
          { role: 'backup-proxy', worker: OLD_PROXY, version: 'unknown', asked: false },
        ],
      });
    });
  }, 60_000);

  it('finds versions that are current, or that runs end on, and that nobody serves; and none that is served', async () => {
    const { nativeConnection: connection, client } = server();
    const findings = async () => (await lookAtWorkers(client, 'shop')).findings;
    expect(await findings()).toEqual([]);
    const served = await Worker.create({
      ...{ connection, taskQueue: CONTROL_QUEUE, workflowsPath: require.resolve('./standing-workflows') },
      workerDeploymentOptions: {
        version: { deploymentName: DEPLOYMENT, buildId: '0.1.0+one' },
        ...{ useWorkerVersioning: true, defaultVersioningBehavior: 'PINNED' },
      },
    });
    const failover = 'lifeboat:shop:failover';
    await during([served], async () => {
      while ((await current('0.1.0+one')) === undefined);
      while ((await pollersOf(client, CONTROL_QUEUE, 'workflows')).current === undefined);
      expect(await unservedCurrent(client)).toBeUndefined();
      // Of another plan, whose name begins like this one's.
      for (const workflowId of [failover, 'lifeboat:shop-two:failover']) {
        await client.workflow.start('standing', { workflowId, taskQueue: CONTROL_QUEUE });
        while ((await pinnedVersion(client, { workflowId, runId: '' })) === undefined);
      }
      // The search learns of them a moment later.
      while ((await workerVersions(client, DEPLOYMENT)).versions[0]?.pinnedRuns.length !== 2);
      expect(await findings()).toEqual([]);
    });
    // The server names a worker that is gone for minutes; it has not polled since.
    const later = new Date(Date.now() + 80_000);
    const version = { deployment: DEPLOYMENT, buildId: '0.1.0+one' };
    expect(await unservedCurrent(client, later)).toEqual(version);
    const found = { code: 'worker-version', severity: 'impossible', about: '0.1.0+one' };
    expect((await lookAtWorkers(client, 'shop', later)).findings).toMatchObject([
      {
        ...found,
        text: `No control worker of the version 0.1.0+one of lifeboat answers, which ${failover} needs, and all that is new.`,
      },
    ]);
    expect((await lookAtWorkers(client, 'wiki', later)).findings).toMatchObject([
      { ...found, text: expect.stringMatching(/which all that is new needs\.$/) as string },
    ]);
    await current('');
    while ((await pollersOf(client, CONTROL_QUEUE, 'workflows')).current !== undefined);
    expect(await unservedCurrent(client, later)).toBeUndefined();
    expect((await lookAtWorkers(client, 'shop', later)).findings).toMatchObject([
      {
        ...found,
        text: `No control worker of the version 0.1.0+one of lifeboat answers, which ${failover} needs.`,
      },
    ]);
    expect((await lookAtWorkers(client, 'wiki', later)).findings).toEqual([]);
  }, 60_000);
});
