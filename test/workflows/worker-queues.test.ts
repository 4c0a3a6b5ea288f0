import { type AwsProxyActivities } from '../../activities/aws-proxy/contract';
import {
  AWS_PROXY_QUEUE,
  awsProxyAnswerQueue,
  CONTROL_QUEUE,
  NOTICE_QUEUE,
} from '../../activities/task-queues';
import { queueWorkers, type Role } from '../../workers/roles';

const environment = { ...process.env };
afterAll(() => {
  process.env = { ...environment };
});

it.each<[Role, string | undefined]>([
  ['control', 'lifeboat'],
  ['control', undefined],
  // One proxy serves all versions.
  ['aws-proxy', undefined],
  ['backup-proxy', undefined],
])('a worker of %s that is told of the deployment %s', (role, deployment) => {
  Object.assign(process.env, {
    ...{
      AWS_REGION: 'eu-central-1',
      LIFEBOAT_REPOSITORY: 's3://backups/dr',
      LIFEBOAT_HYPERVISOR: 'local:/srv',
    },
    LIFEBOAT_PROXY_INSTANCE_ID: 'i-0a11fe00000000001',
    LIFEBOAT_PROXY_AVAILABILITY_ZONE: 'eu-central-1a',
    LIFEBOAT_DEPLOYMENT: role === 'control' ? (deployment ?? '') : 'lifeboat',
  });
  const versioned = queueWorkers(role).flatMap(({ taskQueue, workerDeploymentOptions }) =>
    workerDeploymentOptions === undefined
      ? []
      : [[taskQueue, workerDeploymentOptions.version.deploymentName]],
  );
  expect(versioned).toEqual(deployment === undefined ? [] : [[CONTROL_QUEUE, deployment]]);
});

it('an AWS proxy polls the queues that it offers, and does nothing but answer on that of its pulse', async () => {
  Object.assign(process.env, {
    AWS_REGION: 'eu-central-1',
    LIFEBOAT_REPOSITORY: 's3://backups/dr',
    LIFEBOAT_PROXY_INSTANCE_ID: 'i-0a11fe00000000001',
    LIFEBOAT_PROXY_AVAILABILITY_ZONE: 'eu-central-1a',
  });
  const activities = new Map(
    queueWorkers('aws-proxy').map((worker) => [worker.taskQueue, worker.activities ?? {}]),
  );
  const { proxyHost } = activities.get(AWS_PROXY_QUEUE) as AwsProxyActivities;
  const { taskQueue, pulseQueue = '' } = await proxyHost();
  expect(Object.keys(activities.get(taskQueue) ?? {}).sort()).toEqual(['copyToVolume', 'injectDrivers']);
  expect(Object.keys(activities.get(pulseQueue) ?? {})).toEqual(['answerPulse']);
  for (const queue of [awsProxyAnswerQueue(), awsProxyAnswerQueue('eu-central-1a')])
    expect(Object.keys(activities.get(queue) ?? {})).toEqual(['answerAsAwsProxy']);
});

it('a control worker tells people on a queue of its own, a few at a time', () => {
  Object.assign(process.env, { AWS_REGION: 'eu-central-1', LIFEBOAT_REPOSITORY: 's3://backups/dr' });
  const workers = queueWorkers('control');
  expect(workers.map(({ taskQueue }) => taskQueue)).toEqual([CONTROL_QUEUE, NOTICE_QUEUE]);
  const [, notices] = workers;
  expect(Object.keys(notices?.activities ?? {}).sort()).toEqual(['deliverNotice', 'tryReceiver']);
  expect(notices?.maxConcurrentActivityTaskExecutions).toBe(20);
  expect(notices).not.toHaveProperty('workflowBundle');
});
