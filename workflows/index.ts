import { commit as runCommit } from './commit';
import { failback as runFailback } from './failback';
import { failover as runFailover } from './failover';
import { replication as runReplication } from './replication';
import { undo as runUndo } from './undo';
import {
  commitOutcome,
  failbackOutcome,
  failoverName,
  failoverOutcome,
  tellingFailedRounds,
  tellingItsEnd,
  undoOutcome,
  verifyOutcome,
} from './telling-ends';
import { verify as runVerify } from './verify';

/** Every workflow type that the control worker runs; the bundle's entry. What people are told of has their telling around it. */
export { backup, backupVm } from './backup';
export { restore, restoreVm } from './restore';
export { copyPoint } from './copy-point';
export { failoverVm } from './failover-vm';
export { failbackVm } from './failback-vm';
export { verifyVm } from './verify';
export { scheduledTest } from './scheduled-test';
export { check } from './check';
export { notify, tryNotices } from './notify';
export { fence } from './fence';
export { prune } from './prune';
export { checkDnsRecords, lowerDnsTtls, restoreDnsTtls } from './dns-upkeep';

export const replication = tellingFailedRounds(runReplication);
export const failover = tellingItsEnd(runFailover, failoverName, failoverOutcome);
export const failback = tellingItsEnd(runFailback, () => 'failback', failbackOutcome);
export const commit = tellingItsEnd(runCommit, () => 'commit', commitOutcome);
export const undo = tellingItsEnd(runUndo, () => 'undo', undoOutcome);
export const verify = tellingItsEnd(runVerify, () => 'verification', verifyOutcome);
