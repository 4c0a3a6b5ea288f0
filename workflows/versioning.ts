import { setWorkflowOptions, workflowInfo } from '@temporalio/workflow';
// As they are run: what tells people of an end is around some of them.
import * as workflows from './index';

const { backup, backupVm, restore, restoreVm, replication, scheduledTest, notify, tryNotices } = workflows;
const { failover, failoverVm, copyPoint, failback, failbackVm, undo, commit, fence } = workflows;
const { check, checkDnsRecords, lowerDnsTtls, restoreDnsTtls, prune, verify, verifyVm } = workflows;

/** What becomes of a run under way where control workers are versioned and another version is made current (decision 46). */

/** What moves the application, or tries to, ends on the version that began it. */
export const PINNED = { failover, failoverVm, copyPoint, failback, failbackVm, undo, commit };

/** What protects the application goes on with the new version at its next step, by `patched`. The fence may last for months. */
export const MOVES_ON = {
  ...{ replication, check, verify, verifyVm, prune, fence },
  ...{ checkDnsRecords, lowerDnsTtls, restoreDnsTtls },
  // It waits for its hours; the test that it then begins is pinned itself.
  ...{ scheduledTest, notify, tryNotices },
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
