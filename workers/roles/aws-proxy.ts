import { join } from 'node:path';
import { type S3Client } from '@aws-sdk/client-s3';
import { createFailbackActivities } from '../../activities/aws-proxy/failback/activities';
import { awsClients } from '../../activities/aws-proxy/account/clients';
import { s3Client } from '../../activities/aws-proxy/account/single-clients';
import {
  type AwsProxyActivities,
  type AwsProxyHostActivities,
  type AwsProxyPulseActivities,
} from '../../activities/aws-proxy/contract';
import { createAwayActivities } from '../../activities/aws-proxy/away/activities';
import { createDnsActivities } from '../../activities/aws-proxy/dns/activities';
import { createDrCopyActivities } from '../../activities/aws-proxy/restore/publish';
import { createDriverActivities, createLaunchActivities } from '../../activities/aws-proxy/launch/activities';
import { createChoosePointsActivities } from '../../activities/aws-proxy/points/choose';
import { createPointCopyActivities } from '../../activities/aws-proxy/points/copy';
import { createReadinessActivities } from '../../activities/aws-proxy/readiness/activities';
import {
  createProxyHostActivities,
  createPulseActivities,
} from '../../activities/aws-proxy/proxy-host/activities';
import { DeviceNames } from '../../activities/aws-proxy/proxy-host/device-names';
import { createLockActivities } from '../../activities/aws-proxy/restore/lock';
import { createPruneActivities } from '../../activities/aws-proxy/restore/prune';
import { createRestorePlanActivities } from '../../activities/aws-proxy/restore/plan';
import { createLaunchCopyActivities, launchCopies } from '../../activities/aws-proxy/restore/launch-copy';
import { createSnapshotCopyActivities } from '../../activities/aws-proxy/restore/snapshot-copy';
import { createVerifyActivities } from '../../activities/aws-proxy/restore/verify';
import {
  createHostCopyActivities,
  createVolumeCopyActivities,
} from '../../activities/aws-proxy/restore/volume-copy';
import { createAwsProxyAnswers } from '../../activities/answers';
import { createHookActivities } from '../../activities/hooks/activities';
import { dialer, parseDialRoutes } from '../../activities/dial';
import { guestAdapter } from '../../guest/adapter';
import { s3ObjectStore } from '../../repository/objects/object-store';
import {
  AWS_PROXY_COPY_QUEUE,
  AWS_PROXY_QUEUE,
  awsProxyAnswerQueue,
  awsProxyHostQueue,
  awsProxyPulseQueue,
  workerAnswerQueue,
} from '../../activities/task-queues';
import { drCopyFacts } from '../metrics/dr-copy-facts';
import { awsProxySettings, type WorkerSettings } from '../settings';
import { type ObjectStores } from './object-stores';
import { answering, CONCURRENT_PULSES, type QueueWorker } from './queue-worker';

/** Copies in flight at once: each holds some tens of blocks in memory, and the account's quota is shared by all. */
const CONCURRENT_COPIES = 8;
/** Guests prepared at once on one host: each has a volume attached, of which an instance takes 28 at most. */
const CONCURRENT_HOST_TASKS = 8;

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

/** It moves blocks, launches, and does all else in the AWS account. */
export function awsProxyWorkers(settings: WorkerSettings): QueueWorker[] {
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
