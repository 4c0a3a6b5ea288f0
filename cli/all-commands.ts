import { approveCommand } from './commands/approve';
import { awsCommand } from './commands/aws';
import { backupCommand } from './commands/backup';
import { cancelCommand } from './commands/cancel';
import { checkCommand } from './commands/check';
import { codecCommand } from './commands/codec';
import { commitCommand } from './commands/commit';
import { consoleCommand } from './commands/console';
import { demoCommand } from './commands/demo';
import { dnsCommand } from './commands/dns';
import { evidenceCommand } from './commands/evidence';
import { failbackCommand } from './commands/failback';
import { failoverCommand } from './commands/failover';
import { fenceCommand } from './commands/fence';
import { notifyCommand } from './commands/notify';
import { pauseCommand, resumeCommand } from './commands/pause';
import { planCommand } from './commands/plan';
import { pointsCommand } from './commands/points';
import { repositoryCommand } from './commands/repository';
import { restoreCommand } from './commands/restore';
import { retryCommand } from './commands/retry';
import { sandboxCommand } from './commands/sandbox';
import { scheduleCommand } from './commands/schedule';
import { skipCommand } from './commands/skip';
import { statusCommand } from './commands/status';
import { sweepCommand } from './commands/sweep';
import { testCommand } from './commands/test';
import { undoCommand } from './commands/undo';
import { validateCommand } from './commands/validate';
import { verifyCommand } from './commands/verify';
import { versionCommand } from './commands/version';
import { vsphereCommand } from './commands/vsphere';
import { workerCommand } from './commands/worker';

/** Every command of `lifeboat`, in the order of its help. */
export const COMMANDS = [
  validateCommand,
  planCommand,
  checkCommand,
  backupCommand,
  restoreCommand,
  failoverCommand,
  failbackCommand,
  commitCommand,
  undoCommand,
  fenceCommand,
  retryCommand,
  approveCommand,
  pauseCommand,
  resumeCommand,
  skipCommand,
  cancelCommand,
  verifyCommand,
  dnsCommand,
  scheduleCommand,
  notifyCommand,
  testCommand,
  statusCommand,
  pointsCommand,
  consoleCommand,
  evidenceCommand,
  sweepCommand,
  repositoryCommand,
  vsphereCommand,
  awsCommand,
  workerCommand,
  codecCommand,
  sandboxCommand,
  demoCommand,
  versionCommand,
];
