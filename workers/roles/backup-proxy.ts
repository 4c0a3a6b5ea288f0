import { join } from 'node:path';
import { awsClients } from '../../activities/aws-proxy/account/clients';
import { createBackupProxyAnswers } from '../../activities/answers';
import { createBackupActivities } from '../../activities/backup-proxy/backup';
import { type BackupProxyActivities } from '../../activities/backup-proxy/contract';
import { createFailbackCopyActivities } from '../../activities/backup-proxy/failback-copy';
import { createFencingActivities } from '../../activities/backup-proxy/fencing';
import { PlanLimits } from '../../activities/backup-proxy/plan-limits';
import { createPowerActivities } from '../../activities/backup-proxy/power';
import { createPrimarySiteActivities } from '../../activities/backup-proxy/primary-site';
import { createSurvivorActivities } from '../../activities/backup-proxy/survivors';
import { createHookActivities } from '../../activities/hooks/activities';
import { dialer, parseDialRoutes } from '../../activities/dial';
import { guestAdapter } from '../../guest/adapter';
import { localHypervisor } from '../../hypervisor/local';
import { type Hypervisor } from '../../hypervisor/port';
import { vsphereHypervisor } from '../../hypervisor/vsphere';
import {
  BACKUP_PROXY_ANSWER_QUEUE,
  BACKUP_PROXY_QUEUE,
  workerAnswerQueue,
} from '../../activities/task-queues';
import { backupProxySettings, type WorkerSettings } from '../settings';
import { objectStores } from './object-stores';
import { answering, type QueueWorker } from './queue-worker';

/** It does all that is done in the data centre. */
export function backupProxyWorkers(settings: WorkerSettings): QueueWorker[] {
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
