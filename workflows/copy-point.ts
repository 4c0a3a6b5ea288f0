import { type DrCopy } from '../activities/aws-proxy/account/contract';
import { type ChosenPoint } from '../plan/lines';
import { type RunContext } from '../plan/run';
import { copyDirect, SNAPSHOT_ATTEMPTS } from './direct-copy';
import { awsProxy } from './run/activities';
import { compensating } from './run/compensation';
import { hasFailureType } from './run/failure-message';
import { reportPhase } from './run/vm-child';

/** Times that a copy is begun, as a restore beside a test failover may replace the DR copy that it is a child of. */
const BEGINNINGS = 3;

export interface PointCopyRequest {
  run: RunContext;
  point: ChosenPoint;
  kmsKey?: string;
  /** Times that the run has begun a copy of this VM's before this one. */
  before: number;
}

/** One VM: snapshots of a recovery point that no DR copy holds, as children of the present DR copy's, for this run alone. */
export async function copyPoint(request: PointCopyRequest): Promise<DrCopy> {
  for (let begun = 1; ; begun++) {
    try {
      return await copyOnce(request, request.before * BEGINNINGS + begun - 1);
    } catch (error) {
      if (!hasFailureType(error, 'ParentGone') || begun === BEGINNINGS) throw error;
    }
  }
}

async function copyOnce({ run, point, kmsKey }: PointCopyRequest, before: number): Promise<DrCopy> {
  const { vm, recoveryPoint, takenAt } = point;
  return compensating(async (compensations) => {
    compensations.add("delete the recovery point's snapshots", () => awsProxy.discardPointCopy({ run, vm }));
    await reportPhase(vm, 'comparing', `with the DR copy: ${takenAt}`);
    const restore = await awsProxy.planPointCopy({ run, vm, recoveryPoint, kmsKey });
    const blocks = restore.disks.reduce((sum, disk) => sum + disk.blocks, 0);
    await reportPhase(vm, `copying ${takenAt} (${restore.kind})`, restore.reason ?? `${blocks} blocks`);
    const copy = { run, vm, kmsKey, role: 'point-copy', attemptsBefore: before * SNAPSHOT_ATTEMPTS } as const;
    const disks = await Promise.all(restore.disks.map((disk) => copyDirect(copy, restore, disk)));
    const snapshots = disks.map(({ key, snapshotId }) => ({ diskKey: key, snapshotId }));
    const copied = await awsProxy.finishPointCopy({ run, vm, restore, snapshots });
    await reportPhase(vm, 'copied', takenAt);
    return copied;
  });
}
