import type * as awsProxyModule from './roles/aws-proxy';
import type * as backupProxyModule from './roles/backup-proxy';
import type * as controlModule from './roles/control';
import { type QueueWorker } from './roles/queue-worker';
import { workerSettings } from './settings';

export type Role = 'control' | 'aws-proxy' | 'backup-proxy';

/*
 * A worker runs for months, and a role's process has nothing to do with what the others do: AWS's client for EC2 alone takes 50 MiB, and a
 * control worker never asks EC2.
 */
/* eslint-disable @typescript-eslint/no-require-imports -- each role loads its own, as CommonJS (cli/lazy-module.ts) */

/** The workers of a role, wired to what the environment says. @throws SettingsError */
export function queueWorkers(role: Role): QueueWorker[] {
  const settings = workerSettings(role);
  switch (role) {
    case 'control':
      return (require('./roles/control') as typeof controlModule).controlWorkers(settings);
    case 'aws-proxy':
      return (require('./roles/aws-proxy') as typeof awsProxyModule).awsProxyWorkers(settings);
    case 'backup-proxy':
      return (require('./roles/backup-proxy') as typeof backupProxyModule).backupProxyWorkers(settings);
  }
}
