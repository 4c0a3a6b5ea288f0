/** Every workflow type that the control worker runs; the bundle's entry. */
export { backup, backupVm } from './backup';
export { restore, restoreVm } from './restore';
export { replication } from './replication';
export { failover } from './failover';
export { copyPoint } from './copy-point';
export { failoverVm } from './failover-vm';
export { failback } from './failback';
export { failbackVm } from './failback-vm';
export { verify, verifyVm } from './verify';
export { scheduledTest } from './scheduled-test';
export { check } from './check';
export { commit } from './commit';
export { undo } from './undo';
export { fence } from './fence';
export { prune } from './prune';
export { checkDnsRecords, lowerDnsTtls, restoreDnsTtls } from './dns-upkeep';
