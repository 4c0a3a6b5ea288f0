import type * as backups from './backup';
import type * as checks from './check';
import type * as commits from './commit';
import type * as copyPoints from './copy-point';
import type * as dnsUpkeep from './dns-upkeep';
import type * as failbacks from './failback';
import type * as failbackVms from './failback-vm';
import type * as failovers from './failover';
import type * as failoverVms from './failover-vm';
import type * as fences from './fence';
import type * as notices from './notify';
import type * as prunes from './prune';
import type * as replications from './replication';
import type * as restores from './restore';
import type * as scheduledTests from './scheduled-test';
import type * as tellingEnds from './telling-ends';
import type * as undos from './undo';
import type * as verifications from './verify';

/**
 * Every workflow type that the control worker runs; the bundle's entry. What people are told of has their telling around it.
 *
 * Each workflow in a worker's memory has its own instance of every module that was loaded for it, and of a large plan there are hundreds:
 * so each loads what it needs when it begins (docs/decisions/0056-…).
 */
const loading =
  <Request, Result>(load: () => (request: Request) => Promise<Result>) =>
  (request: Request): Promise<Result> =>
    load()(request);

/* eslint-disable @typescript-eslint/no-require-imports -- import() would be a chunk of its own, which a bundle of workflows cannot load */
const telling = (): typeof tellingEnds => require('./telling-ends') as typeof tellingEnds;

const backupModule = (): typeof backups => require('./backup') as typeof backups;
export const backup = loading(() => backupModule().backup);
export const backupVm = loading(() => backupModule().backupVm);

const restoreModule = (): typeof restores => require('./restore') as typeof restores;
export const restore = loading(() => restoreModule().restore);
export const restoreVm = loading(() => restoreModule().restoreVm);

export const replication = loading(() =>
  telling().tellingFailedRounds((require('./replication') as typeof replications).replication),
);
export const copyPoint = loading(() => (require('./copy-point') as typeof copyPoints).copyPoint);

export const failover = loading(() => {
  const { tellingItsEnd, failoverName, failoverOutcome } = telling();
  return tellingItsEnd((require('./failover') as typeof failovers).failover, failoverName, failoverOutcome);
});
export const failoverVm = loading(() => (require('./failover-vm') as typeof failoverVms).failoverVm);

export const failback = loading(() => {
  const { tellingItsEnd, failbackOutcome } = telling();
  const run = (require('./failback') as typeof failbacks).failback;
  return tellingItsEnd(run, () => 'failback', failbackOutcome);
});
export const failbackVm = loading(() => (require('./failback-vm') as typeof failbackVms).failbackVm);

export const commit = loading(() => {
  const { tellingItsEnd, commitOutcome } = telling();
  return tellingItsEnd((require('./commit') as typeof commits).commit, () => 'commit', commitOutcome);
});
export const undo = loading(() => {
  const { tellingItsEnd, undoOutcome } = telling();
  return tellingItsEnd((require('./undo') as typeof undos).undo, () => 'undo', undoOutcome);
});

const verifyModule = (): typeof verifications => require('./verify') as typeof verifications;
export const verify = loading(() => {
  const { tellingItsEnd, verifyOutcome } = telling();
  return tellingItsEnd(verifyModule().verify, () => 'verification', verifyOutcome);
});
export const verifyVm = loading(() => verifyModule().verifyVm);

export const scheduledTest = loading(
  () => (require('./scheduled-test') as typeof scheduledTests).scheduledTest,
);
export const check = loading(() => (require('./check') as typeof checks).check);
export const fence = loading(() => (require('./fence') as typeof fences).fence);
export const prune = loading(() => (require('./prune') as typeof prunes).prune);

const noticeModule = (): typeof notices => require('./notify') as typeof notices;
export const notify = loading(() => noticeModule().notify);
export const tryNotices = loading(() => noticeModule().tryNotices);

const dnsModule = (): typeof dnsUpkeep => require('./dns-upkeep') as typeof dnsUpkeep;
export const checkDnsRecords = loading(() => dnsModule().checkDnsRecords);
export const lowerDnsTtls = loading(() => dnsModule().lowerDnsTtls);
export const restoreDnsTtls = loading(() => dnsModule().restoreDnsTtls);
