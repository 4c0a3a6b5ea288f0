import { join } from 'node:path';
import { type S3Client } from '@aws-sdk/client-s3';
import { type WorkerOptions } from '@temporalio/worker';
import { createFailbackActivities } from '../activities/aws-proxy/failback/activities';
import { awsClients, s3Client, snsClient } from '../activities/aws-proxy/account/clients';
import {
  type AwsProxyActivities,
  type AwsProxyHostActivities,
  type AwsProxyPulseActivities,
} from '../activities/aws-proxy/contract';
import { createAwayActivities } from '../activities/aws-proxy/away/activities';
import { createDnsActivities } from '../activities/aws-proxy/dns/activities';
import { createDrCopyActivities } from '../activities/aws-proxy/restore/publish';
import { createDriverActivities, createLaunchActivities } from '../activities/aws-proxy/launch/activities';
import { createChoosePointsActivities } from '../activities/aws-proxy/points/choose';
import { createPointCopyActivities } from '../activities/aws-proxy/points/copy';
import { createReadinessActivities } from '../activities/aws-proxy/readiness/activities';
import {
  createProxyHostActivities,
  createPulseActivities,
} from '../activities/aws-proxy/proxy-host/activities';
import { DeviceNames } from '../activities/aws-proxy/proxy-host/device-names';
import { createLockActivities } from '../activities/aws-proxy/restore/lock';
import { createPruneActivities } from '../activities/aws-proxy/restore/prune';
import { createRestorePlanActivities } from '../activities/aws-proxy/restore/plan';
import { createLaunchCopyActivities, launchCopies } from '../activities/aws-proxy/restore/launch-copy';
import { createSnapshotCopyActivities } from '../activities/aws-proxy/restore/snapshot-copy';
import { createVerifyActivities } from '../activities/aws-proxy/restore/verify';
import {
  createHostCopyActivities,
  createVolumeCopyActivities,
} from '../activities/aws-proxy/restore/volume-copy';
import { createAwsProxyAnswers, createBackupProxyAnswers } from '../activities/answers';
import { createBackupActivities } from '../activities/backup-proxy/backup';
import { type BackupProxyActivities } from '../activities/backup-proxy/contract';
import { createFailbackCopyActivities } from '../activities/backup-proxy/failback-copy';
import { createFencingActivities } from '../activities/backup-proxy/fencing';
import { PlanLimits } from '../activities/backup-proxy/plan-limits';
import { createPowerActivities } from '../activities/backup-proxy/power';
import { createPrimarySiteActivities } from '../activities/backup-proxy/primary-site';
import { createSurvivorActivities } from '../activities/backup-proxy/survivors';
import { createHookActivities } from '../activities/hooks/activities';
import { createControlActivities } from '../activities/control/activities';
import { createNoticeActivities } from '../activities/control/notices/activities';
import { dialer, parseDialRoutes } from '../activities/dial';
import { guestAdapter } from '../guest/adapter';
import { localHypervisor } from '../hypervisor/local';
import { type Hypervisor } from '../hypervisor/port';
import { vsphereHypervisor } from '../hypervisor/vsphere';
import { type RepositoryAddress } from '../plan/run';
import { type LimitedSending } from '../repository/objects/limited-sending';
import { type ObjectStore, s3ObjectStore } from '../repository/objects/object-store';
import {
  AWS_PROXY_COPY_QUEUE,
  AWS_PROXY_QUEUE,
  awsProxyAnswerQueue,
  awsProxyHostQueue,
  awsProxyPulseQueue,
  BACKUP_PROXY_ANSWER_QUEUE,
  BACKUP_PROXY_QUEUE,
  CONTROL_QUEUE,
  NOTICE_QUEUE,
  workerAnswerQueue,
} from '../activities/task-queues';
import { bundleName, tracedBundle, VERSIONED_BUNDLE } from './bundle-name';
import { drCopyFacts } from './metrics/dr-copy-facts';
import { type Facts } from './metrics/facts';
import { planFacts } from './metrics/plan-facts';
import { runFacts } from './metrics/run-facts';
import {
  awsProxySettings,
  backupProxySettings,
  webhookSecrets,
  type WorkerSettings,
  workerSettings,
} from './settings';

export type Role = 'control' | 'aws-proxy' | 'backup-proxy';

/** What one role's process polls: a Temporal worker for each of its task queues. */
export type QueueWorker = Pick<
  WorkerOptions,
  | 'taskQueue'
  | 'activities'
  | 'workflowBundle'
  | 'maxConcurrentActivityTaskExecutions'
  | 'maxConcurrentActivityTaskPolls'
  | 'maxCachedWorkflows'
  | 'workerDeploymentOptions'
> & {
  /** What this role can look up for metrics. */
  facts?: Facts[];
  /** Clears what workers that died have left. @returns what was done, one sentence each */
  atStart?: () => Promise<string[]>;
};

/** Copies in flight at once: each holds some tens of blocks in memory, and the account's quota is shared by all. */
const CONCURRENT_COPIES = 8;
/** Guests prepared at once on one host: each has a volume attached, of which an instance takes 28 at most. */
const CONCURRENT_HOST_TASKS = 8;
/** Pulses and other answers given at once: each takes no time, and any number of them is soon through. */
const CONCURRENT_PULSES = 5;
/** Receivers asked at once; one that does not answer takes its time limit. */
const CONCURRENT_NOTICES = 20;
/** More than the VMs of any plan that a test has seen; a workflow that falls out of the cache is replayed. */
const CACHED_WORKFLOWS = 1000;

/** The workers of a role, wired to what the environment says. @throws SettingsError */
export function queueWorkers(role: Role): QueueWorker[] {
  const settings = workerSettings(role);
  switch (role) {
    case 'control':
      return [controlWorker(settings), noticeWorker()];
    case 'aws-proxy':
      return awsProxyWorkers(settings);
    case 'backup-proxy':
      return backupProxyWorkers(settings);
  }
}

type ObjectStores = (address: RepositoryAddress, sending?: LimitedSending) => ObjectStore;

/** The repository as this worker reaches it: bucket and prefix are the run's, the endpoint is the worker's own. */
function objectStores({ region, repository }: WorkerSettings): ObjectStores {
  const client = s3Client({ region, endpoint: repository.endpoint });
  return (address, sending) => s3ObjectStore(client, address, sending);
}

/** At the recovery site the run's endpoint, which is the plan's, counts as well; the worker's own goes before it. */
function recoverySiteObjectStores({ region, repository }: WorkerSettings): ObjectStores {
  const clients = new Map<string | undefined, S3Client>();
  return (address) => {
    const endpoint = repository.endpoint ?? address.endpoint;
    const client = clients.get(endpoint) ?? s3Client({ region, endpoint });
    clients.set(endpoint, client);
    return s3ObjectStore(client, address);
  };
}

function controlWorker(settings: WorkerSettings): QueueWorker {
  const objectStore = objectStores(settings);
  const repository = objectStore(settings.repository);
  return {
    taskQueue: CONTROL_QUEUE,
    // Built with the project (workers/bundle.ts), so that a worker that restarts is there at once.
    workflowBundle: { codePath: join(__dirname, '..', bundleOf(settings)) },
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

function awsProxyWorkers(settings: WorkerSettings): QueueWorker[] {
  const { region, stateDirectory } = settings;
  const {
    instanceId,
    availabilityZone,
    deviceDirectory,
    dnsServers,
    dnsResolvers: resolvers,
  } = awsProxySettings();
  const { ec2, ebs, route53, iam, serviceQuotas, kms } = awsClients({ region });
  const objectStore = recoverySiteObjectStores(settings);
  const host = { ec2, instanceId, deviceNames: new DeviceNames(), deviceDirectory };
  const guests = guestAdapter();

  const activities: AwsProxyActivities = {
    ...createRestorePlanActivities({ ec2, objectStore }),
    ...createSnapshotCopyActivities({
      ec2,
      ebs,
      objectStore,
      stateDirectory: join(stateDirectory, 'aws-proxy'),
    }),
    ...createPruneActivities({ ec2, objectStore }),
    ...createVolumeCopyActivities({ ec2, objectStore }),
    ...createVerifyActivities({ ec2, ebs, objectStore }),
    ...createDrCopyActivities({ ec2, objectStore }),
    ...createLockActivities({ ec2, objectStore }),
    ...createLaunchCopyActivities({
      ec2,
      ebs,
      guestAdapter: guests,
      objectStore,
      directory: launchCopies(join(stateDirectory, 'aws-proxy')),
    }),
    ...createChoosePointsActivities({ objectStore }),
    ...createPointCopyActivities({ ec2, objectStore }),
    ...createReadinessActivities({
      ...{ ec2, route53, iam, serviceQuotas, kms, region, objectStore, resolvers, instanceId },
    }),
    ...createLaunchActivities({
      ec2,
      ebs,
      objectStore,
      dial: dialer(parseDialRoutes(settings.dialRoutes)),
    }),
    ...createDnsActivities({
      ...{ route53, objectStore, resolvers },
      ...(dnsServers.length > 0 ? { dnsServers } : {}),
    }),
    ...createFailbackActivities({ ec2, ebs, objectStore }),
    ...createAwayActivities({ ec2, objectStore }),
    ...createHookActivities(settings),
    ...createProxyHostActivities({ instanceId, availabilityZone }),
  };
  const hostActivities: AwsProxyHostActivities = {
    ...createDriverActivities({ host, guestAdapter: guests, objectStore }),
    ...createHostCopyActivities({
      host,
      objectStore,
      stateDirectory: join(stateDirectory, 'aws-proxy-host'),
    }),
  };
  const pulse: AwsProxyPulseActivities = createPulseActivities();
  const answers = createAwsProxyAnswers({ worker: settings.identity, availabilityZone });
  return [
    { taskQueue: AWS_PROXY_QUEUE, activities, facts: [drCopyFacts(ec2)] },
    {
      taskQueue: AWS_PROXY_COPY_QUEUE,
      activities: { copyExtent: activities.copyExtent, verifyDisk: activities.verifyDisk },
      maxConcurrentActivityTaskExecutions: CONCURRENT_COPIES,
    },
    {
      taskQueue: awsProxyHostQueue(instanceId),
      activities: hostActivities,
      maxConcurrentActivityTaskExecutions: CONCURRENT_HOST_TASKS,
    },
    {
      taskQueue: awsProxyPulseQueue(instanceId),
      activities: pulse,
      maxConcurrentActivityTaskExecutions: CONCURRENT_PULSES,
    },
    answering(awsProxyAnswerQueue(), answers),
    answering(awsProxyAnswerQueue(availabilityZone), answers),
    answering(workerAnswerQueue(settings.identity), answers),
  ];
}

/** A queue where one is asked whether it is there, which is seldom. */
function answering(taskQueue: string, activities: object): QueueWorker {
  return {
    taskQueue,
    activities,
    maxConcurrentActivityTaskExecutions: CONCURRENT_PULSES,
    maxConcurrentActivityTaskPolls: 1,
  };
}

function backupProxyWorkers(settings: WorkerSettings): QueueWorker[] {
  const stateDirectory = join(settings.stateDirectory, 'backup-proxy');
  const { hypervisor, atStart } = primarySite(stateDirectory);
  const objectStore = objectStores(settings);
  const { ebs } = awsClients({ region: settings.region });
  const guests = guestAdapter();
  const limits = new PlanLimits();
  const activities: BackupProxyActivities = {
    ...createBackupActivities({ hypervisor, guestAdapter: guests, objectStore, limits, stateDirectory }),
    ...createFailbackCopyActivities({ hypervisor, ebs, objectStore, limits, stateDirectory }),
    ...createSurvivorActivities({ hypervisor, objectStore }),
    ...createPowerActivities({ hypervisor, objectStore }),
    ...createFencingActivities({ hypervisor, objectStore }),
    ...createPrimarySiteActivities({
      hypervisor,
      guestAdapter: guests,
      dial: dialer(parseDialRoutes(settings.dialRoutes)),
    }),
    ...createHookActivities(settings),
  };
  const answers = createBackupProxyAnswers({ worker: settings.identity, objectStore, ebs });
  return [
    { taskQueue: BACKUP_PROXY_QUEUE, activities, ...(atStart === undefined ? {} : { atStart }) },
    answering(BACKUP_PROXY_ANSWER_QUEUE, answers),
    answering(workerAnswerQueue(settings.identity), answers),
  ];
}

function primarySite(stateDirectory: string): { hypervisor: Hypervisor; atStart?: () => Promise<string[]> } {
  const chosen = backupProxySettings().hypervisor;
  if (chosen.adapter === 'local') return { hypervisor: localHypervisor({ directory: chosen.directory }) };
  const hypervisor = vsphereHypervisor({ settings: chosen.settings, stateDirectory });
  return { hypervisor, atStart: () => hypervisor.clearLeftovers() };
}
