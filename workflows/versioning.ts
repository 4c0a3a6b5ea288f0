import { setWorkflowOptions, workflowInfo } from '@temporalio/workflow';
import { backup, backupVm } from './backup';
import { check } from './check';
import { commit } from './commit';
import { copyPoint } from './copy-point';
import { checkDnsRecords, lowerDnsTtls, restoreDnsTtls } from './dns-upkeep';
import { failback } from './failback';
import { failbackVm } from './failback-vm';
import { failover } from './failover';
import { failoverVm } from './failover-vm';
import { fence } from './fence';
import { prune } from './prune';
import { replication } from './replication';
import { restore, restoreVm } from './restore';
import { undo } from './undo';
import { verify, verifyVm } from './verify';

/** What becomes of a run under way where control workers are versioned and another version is made current (decision 46). */

/** What moves the application, or tries to, ends on the version that began it. */
export const PINNED = { failover, failoverVm, copyPoint, failback, failbackVm, undo, commit };

/** What protects the application goes on with the new version at its next step, by `patched`. The fence may last for months. */
export const MOVES_ON = {
  ...{ replication, check, verify, verifyVm, prune, fence },
  ...{ checkDnsRecords, lowerDnsTtls, restoreDnsTtls },
};

/** What protects it, too, and is a part of a planned failover besides. */
export const AS_ITS_RUN = { backup, backupVm, restore, restoreVm };

for (const workflow of Object.values(PINNED) as Workflow[])
  setWorkflowOptions({ versioningBehavior: 'PINNED' }, workflow);
for (const workflow of Object.values(MOVES_ON) as Workflow[])
  setWorkflowOptions({ versioningBehavior: 'AUTO_UPGRADE' }, workflow);
for (const workflow of Object.values(AS_ITS_RUN) as Workflow[])
  setWorkflowOptions(() => ({ versioningBehavior: asPartOf(workflowInfo().root?.workflowId) }), workflow);

type Workflow = (request: never) => Promise<unknown>;

/** A round of a schedule has the time behind the type in its id. */
const PROTECTING = /^lifeboat:[^:]+:(backup|restore|replication)(-\d|$)/;

/** @param root id of the run that a workflow is a part of; undefined where it is one itself */
export function asPartOf(root: string | undefined): 'PINNED' | 'AUTO_UPGRADE' {
  return root === undefined || PROTECTING.test(root) ? 'AUTO_UPGRADE' : 'PINNED';
}
