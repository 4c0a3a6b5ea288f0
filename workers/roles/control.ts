import { join } from 'node:path';
import { snsClient } from '../../activities/aws-proxy/account/single-clients';
import { createControlActivities } from '../../activities/control/activities';
import { createNoticeActivities } from '../../activities/control/notices/activities';
import { CONTROL_QUEUE, NOTICE_QUEUE } from '../../activities/task-queues';
import { bundleName, tracedBundle, VERSIONED_BUNDLE } from '../bundle-name';
import { planFacts } from '../metrics/plan-facts';
import { runFacts } from '../metrics/run-facts';
import { webhookSecrets, type WorkerSettings } from '../settings';
import { objectStores } from './object-stores';
import { type QueueWorker } from './queue-worker';

/** Receivers asked at once; one that does not answer takes its time limit. */
const CONCURRENT_NOTICES = 20;
/**
 * Workflows whose state is kept in memory. One that has waited longest makes room for another, and is replayed when something happens to it.
 * Beside a run that is told of everything, and so stays, a failover has some 160 at work: a hundred VMs that are prepared, and those that are
 * booting, at EC2's two launches a second. Thousands that wait for their turn, their hours or a person need not be here (decision 56).
 */
const CACHED_WORKFLOWS = 200;

/** It runs the workflows, and tells people. */
export const controlWorkers = (settings: WorkerSettings): QueueWorker[] => [
  controlWorker(settings),
  noticeWorker(),
];

function controlWorker(settings: WorkerSettings): QueueWorker {
  const objectStore = objectStores(settings);
  const repository = objectStore(settings.repository);
  return {
    taskQueue: CONTROL_QUEUE,
    // Built with the project (workers/bundle.ts), so that a worker that restarts is there at once.
    workflowBundle: { codePath: join(__dirname, '..', '..', bundleOf(settings)) },
    maxCachedWorkflows: CACHED_WORKFLOWS,
    ...versioned(settings),
    activities: createControlActivities({
      objectStore,
      repository: settings.repository,
    }),
    facts: [planFacts(repository), runFacts(repository)],
  };
}

/** File of the workflows' bundle. The chaos suite's is never traced. */
function bundleOf({ pace, deployment, traces }: WorkerSettings): string {
  const bundle = deployment === undefined ? bundleName(pace) : VERSIONED_BUNDLE;
  return traces && pace === 'usual' ? tracedBundle(bundle) : bundle;
}

/** Tells people. Here, as a control worker is there whenever a run is, and the proxies' networks may lead to AWS only. */
function noticeWorker(): QueueWorker {
  return {
    taskQueue: NOTICE_QUEUE,
    activities: createNoticeActivities({
      secrets: webhookSecrets(),
      sns: (region) => snsClient({ region }),
    }),
    maxConcurrentActivityTaskExecutions: CONCURRENT_NOTICES,
    maxConcurrentActivityTaskPolls: 1,
  };
}

/**
 * What makes a control worker a version of a deployment. Proxies are none: they run no workflows, and serve those of all versions, whose
 * activities stay compatible.
 */
function versioned({ deployment, build }: WorkerSettings): Pick<QueueWorker, 'workerDeploymentOptions'> {
  if (deployment === undefined) return {};
  return {
    workerDeploymentOptions: {
      version: { deploymentName: deployment, buildId: build },
      useWorkerVersioning: true,
      // Each workflow says its own: workflows/versioning.ts.
      defaultVersioningBehavior: 'PINNED',
    },
  };
}
